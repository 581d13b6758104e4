/**
 * Screens: what a person sees of a tunnel while it is open.
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
  pressApprove,
  unseen,
} from './approve-state.ts'
export {
  initialPanel,
  type PanelClient,
  type PanelEvent,
  type PanelState,
  pressKey,
  reducePanel,
} from './panel-state.ts'
export { type ShownPanel, type ShowOptions, showPanel } from './show.ts'
export { type ShowApproveOptions, showApprove } from './show-approve.ts'
