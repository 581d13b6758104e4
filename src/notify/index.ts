/**
 * Tells people elsewhere what waits for them and what became of it: a request was filed, approved, denied, has
 * expired, or the glass was broken.
 *
 * Its one invariant: nobody waits for it. `tell` puts a short card into a queue of its channel and returns; what a
 * receiver does, or does not do, shows only in `report`. A channel's messages arrive in order, each at least once
 * (`id` tells repetitions apart) unless it was given up or the queue was full: the next message says how many.
 *
 * A card has the statement's first 500 characters, made inert. It never has parameters or rows, and no report has
 * an address: whoever knows a webhook's address can post there.
 *
 * Beside that, `Exports` brings the audit log itself to where it is collected (webhook, syslog, OTLP), in order
 * and at least once, with the log's files as the spool.
 */

export type { Announcement } from './card.ts'
export type { DeliveryProblem } from './channel.ts'
export type { ExportProblem } from './exporter.ts'
export { Exports } from './exports.ts'
export { Notifications, type NotifyClock, type NotifyOptions } from './notifications.ts'
export { signatureOf } from './signature.ts'
