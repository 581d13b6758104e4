/** The sample policy of the documentation, without masks. */
export const SAMPLE = `version: 1

roles:
  reader:   { may: [read] }
  writer:   { may: [read, write] }
  migrator: { may: [read, write, ddl] }

people:
  - groups: [engineering]
    roles: { prod: writer, analytics: reader, staging: writer }
    may_request: { prod: [migrator] }
  - groups: [support]
    roles: { prod: reader }
    may_request: { prod: [writer] }
  - groups: [dba]
    roles: { prod: writer, analytics: reader, staging: writer }
    may_request: { prod: [migrator] }
  - groups: [ci-migrations]
    roles: { prod: migrator }

access:
  - grant: { prod: [writer] }
    max: 4h
    reason: required
    approve: { by: [dba], need: 1 }
  - grant: { prod: [migrator] }
    max: 1h
    reason: required
    approve: { by: [dba, sre-lead], need: 2 }
  - grant: { prod: [writer] }
    break_glass: { for: [sre-oncall], max: 1h, notify: [db-approvals], review_within: 24h }

rules:
  - name: no-drop-prod
    on: [prod]
    when: { class: ddl, kind: [DROP, TRUNCATE] }
    then: deny
    say: DROP and TRUNCATE run only from a migration.
    next: Open a migration pull request; CI runs it as ci/shop-migrations.

  - name: no-where
    on: [prod, staging]
    when: { kind: [UPDATE, DELETE], where: missing }
    then: deny
    say: UPDATE and DELETE need a WHERE clause here.
    next: Add a WHERE clause and send it again.

  - name: prod-writes
    on: [prod]
    when: { class: write, unless: { groups: [ci-migrations] } }
    then:
      approve: { by: [dba], need: 1, self: false, expires: 15m }
      hold: 30s
      notify: [db-approvals]

  - name: agent-bulk-writes
    on: [prod]
    when: { class: write, via: agent, rows_estimate: "> 1000" }
    then:
      approve: { by: [dba], need: 2, self: false, expires: 10m, presence: step-up }
      notify: [db-approvals]

  - name: no-writes-at-night
    on: [prod]
    when: { class: [write, ddl], time: { outside: "Mon-Fri 07:00-19:00", zone: Europe/Berlin } }
    then: deny
    say: Production writes are closed outside 07:00-19:00 Berlin.
    next: "On call? dbgate request prod --role writer --for 1h --break-glass"

  - name: server-files
    on: ["*"]
    when: { functions: ["pg_read_*", "lo_import", "lo_export", "dblink*"], or: { kind: [COPY_PROGRAM] } }
    then: deny
    say: Functions that reach the server's files or network are off.

limits:
  - on: [prod]
    roles: [reader, writer]
    time: 60s
    connections: 10

tests:
  - as: { groups: [engineering] }
    on: prod
    expect:
      - { sql: "select email from users", gives: allowed }
      - { sql: "delete from orders", gives: denied, rule: no-where }
  - as: { groups: [support] }
    on: prod
    expect:
      - { sql: "delete from orders where id = 1", gives: denied, rule: role }
  - as: { groups: [engineering], via: agent }
    on: prod
    at: 2026-03-03T10:00:00+01:00
    expect:
      - { sql: "update orders set note = null where id = 1", gives: held, rule: prod-writes }
      - { sql: "drop table orders", gives: denied, rule: no-drop-prod }
`
