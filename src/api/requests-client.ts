import {
  type AccessMade,
  type DecisionAnswer,
  type ExplanationAnswer,
  type RequestAnswer,
  type RequestableAnswer,
  readAccessMade,
  readDecision,
  readExplanation,
  readRequest,
  readRequestable,
} from './request-answers.ts'
import { list, object, texts } from './shape.ts'

/** Which requests to list; see the route. */
export type RequestsQuery = {
  readonly which: 'decide' | 'mine' | 'all' | 'review'
  readonly state?: string | undefined
  readonly kind?: string | undefined
}

/** A role that is wished for. Units: ms; the server's default if left out. */
export type AccessWish = {
  readonly target: string
  readonly role: string
  readonly forMs?: number | undefined
  readonly reason?: string | undefined
  readonly ticket?: string | undefined
  readonly isBreakGlass: boolean
}

/** What the policy is asked. `groups` and `user` stand for somebody else, which only auditors may. */
export type ExplainQuery = {
  readonly sql: string
  readonly target: string
  readonly role?: string | undefined
  readonly agent?: string | undefined
  readonly at?: string | undefined
  readonly groups?: readonly string[] | undefined
  readonly user?: string | undefined
}

/** The calls about requests, grants and the policy. */
export type RequestsClient = {
  requests(query: RequestsQuery): Promise<readonly RequestAnswer[]>
  /** By its id or the start of it. */
  request(id: string): Promise<RequestAnswer>
  /** What the database would do for a held statement, by EXPLAIN; for who may decide on it. */
  plan(id: string): Promise<readonly string[]>
  /** Waits on the server until it is decided, or `ran`; returns it as it is when the time is up. */
  waitFor(id: string, timeoutMs: number, what?: 'decided' | 'ran'): Promise<RequestAnswer>
  decide(id: string, vote: 'approve' | 'deny', comment?: string): Promise<DecisionAnswer>
  withdraw(id: string): Promise<RequestAnswer>
  review(id: string, comment: string): Promise<RequestAnswer>
  /** The roles that could be asked for. */
  requestable(): Promise<readonly RequestableAnswer[]>
  access(wish: AccessWish): Promise<AccessMade>
  grants(options: { readonly all: boolean }): Promise<readonly RequestAnswer[]>
  endGrant(id: string, reason?: string): Promise<RequestAnswer>
  explain(query: ExplainQuery): Promise<ExplanationAnswer>
}

/** How the client reaches a route: returns the answer's data. Units: `moreMs` is how long the server may wait. */
export type Call = (
  method: 'GET' | 'POST',
  path: string,
  more?: { readonly body?: object; readonly moreMs?: number },
) => Promise<unknown>

/** As long as the server waits in one call. */
const WAIT_MS = 20_000
/** Connecting to the database, its schema, and the 2 s that the planner has. */
const PLAN_MS = 10_000

/** The calls, made of the one that reaches the server. Throws from each: what the server says. */
export function createRequestsClient(call: Call): RequestsClient {
  const requestsOf = (value: unknown) => list(value, 'requests', readRequest)
  const at = (id: string, verb: string) => `requests/${encodeURIComponent(id)}${verb}`
  const waitOnce = async (id: string, timeoutMs: number, what: string) => {
    const query = new URLSearchParams({ timeout_ms: String(timeoutMs), for: what })
    return readRequest(await call('GET', `${at(id, '/wait')}?${query}`, { moreMs: timeoutMs }))
  }
  return {
    requests: async ({ which, state, kind }) => {
      const query = new URLSearchParams({ which })
      if (state !== undefined) query.set('state', state)
      if (kind !== undefined) query.set('kind', kind)
      return requestsOf(await call('GET', `requests?${query}`))
    },
    request: async id => readRequest(await call('GET', at(id, ''))),
    plan: async id => {
      const { plan } = object(
        await call('POST', at(id, '/plan'), { body: {}, moreMs: PLAN_MS }),
        'plan',
      )
      return texts(plan, 'plan')
    },
    waitFor: async (id, timeoutMs, what = 'decided') => {
      let leftMs = timeoutMs
      for (;;) {
        const onceMs = Math.min(leftMs, WAIT_MS)
        const request = await waitOnce(id, onceMs, what)
        leftMs -= onceMs
        if (leftMs <= 0 || isSettled(request, what)) return request
      }
    },
    decide: async (id, vote, comment) =>
      readDecision(await call('POST', at(id, `/${vote}`), { body: { comment } })),
    withdraw: async id => readRequest(await call('POST', at(id, '/withdraw'), { body: {} })),
    review: async (id, comment) =>
      readRequest(await call('POST', at(id, '/review'), { body: { comment } })),
    requestable: async () => list(await call('GET', 'access'), 'access', readRequestable),
    access: async ({ target, role, forMs, reason, ticket, isBreakGlass }) => {
      const body = { target, role, for_ms: forMs, reason, ticket, break_glass: isBreakGlass }
      return readAccessMade(await call('POST', 'access', { body }))
    },
    grants: async ({ all }) => requestsOf(await call('GET', all ? 'grants?all' : 'grants')),
    endGrant: async (id, reason) => {
      const path = `grants/${encodeURIComponent(id)}/end`
      return readRequest(await call('POST', path, { body: { reason } }))
    },
    explain: async query => readExplanation(await call('POST', 'policy/explain', { body: query })),
  }
}

function isSettled({ state, statement }: RequestAnswer, what: 'decided' | 'ran'): boolean {
  if (state === 'open') return false
  if (what === 'decided' || statement === undefined) return true
  return state === 'used' ? statement.ran !== undefined : state !== 'approved'
}
