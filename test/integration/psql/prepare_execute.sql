prepare plus(int, int) as select $1 + $2 as sum;
execute plus(1, 2);
execute plus(1);
execute plus('x', 2);
prepare plus as select 1;
prepare untyped as select $1::text || '!' as s, $2::numeric;
execute untyped('hi', 1.5);
select name, statement, parameter_types from pg_prepared_statements order by name;
deallocate plus;
execute plus(1, 2);
create table t (a int, b text default 'd');
prepare ins as insert into t (a) values ($1) returning *;
execute ins(1);
execute ins(null);
explain (costs off) execute ins(1);
create table made as execute untyped('x', 2);
select * from made;
alter table t add column c int;
execute ins(3);
prepare wide as select * from t order by a;
execute wide;
alter table t drop column c;
execute wide;
discard plans;
execute untyped('still', 0);
deallocate all;
execute untyped('gone', 0);
select 1 \gdesc
select $1 \gdesc
