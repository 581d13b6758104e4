\set a random(1, 1000)
\startpipeline
begin;
update pgbench_accounts set abalance = abalance + 0 where aid = :a;
select abalance from pgbench_accounts where aid = :a;
select 1;
commit;
\endpipeline
