-- s-8k2m4qxz · ana@acme.dev via claude · prod/app writer
-- began 2026-03-01T13:50:00.000Z, times in UTC
-- 4 statements, 1 held, 1 denied, 3 min
-- What did not run is commented out. Running this file does the rest again.

-- 13:50:01 s-8k2m4qxz.1
-- allowed by role writer
-- SELECT 2, 8 ms
SELECT id, email
FROM users WHERE plan = 'trial';

-- 13:50:31 s-8k2m4qxz.2
-- held as h-7f3k by prod-writes
-- approved by ben@acme.dev: ok, checked
-- allowed by role writer
-- DELETE 836, 0.4 s
DELETE FROM orders WHERE status = 'stale';

-- 13:52:30 s-8k2m4qxz.3
-- denied by no-drop
-- ERROR 42501: dbgate: denied
-- not run:
-- DROP TABLE orders

-- 13:52:40 s-8k2m4qxz.4
-- allowed by role writer
-- $1 = "x"
-- $2 = NULL
-- ERROR 42703: column "nothing" does not exist
-- error, 8 ms
-- ended as error:
-- SELECT nothing
