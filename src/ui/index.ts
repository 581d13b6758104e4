/**
 * Screens: what a person sees of a tunnel while it is open, of what waits for them, and of a session replayed.
 *
 * Invariants: state changes in pure reducers only; components are dumb; text that came from outside has
 * been through `visible` before it is part of a state.
 */
export {
  type ApproveCard,
  type ApproveChoice,
  type ApproveKey,
  type ApproveState,
  initialApprove,
  planned,
  pressApprove,
  unseen,
} from './approve-state.ts'
export {
  initialList,
  type ListChoice,
  type ListItem,
  type ListKey,
  type ListState,
  listLines,
  pressList,
} from './list-state.ts'
export {
  initialPanel,
  type PanelClient,
  type PanelEvent,
  type PanelState,
  pressKey,
  reducePanel,
} from './panel-state.ts'
export { detailLines } from './player-detail.ts'
export { playerLines } from './player-lines.ts'
export { isLive, SPEEDS } from './player-moves.ts'
export {
  followPlayer,
  initialPlayer,
  pressPlayer,
  resizePlayer,
  tickPlayer,
} from './player-state.ts'
export { Timeline } from './player-timeline.ts'
export type { PlayerEffect, PlayerKey, PlayerStart, PlayerState } from './player-types.ts'
export { type ShownPanel, type ShowOptions, showPanel } from './show.ts'
export { type ShowApproveOptions, showApprove } from './show-approve.ts'
export { type ShowListOptions, showList } from './show-list.ts'
export { type ShowPlayerOptions, showPlayer } from './show-player.ts'
