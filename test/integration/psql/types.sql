-- One literal of nearly every built-in type.
select 1::int2, -2::int4, 9223372036854775807::int8, true, false, null::bool;
select 'text'::text, 'v'::varchar(3), 'c'::char(5), 'n'::name, 'x'::"char";
select '\x00ff10'::bytea, 'abc'::bytea;
select '2024-02-29'::date, '23:59:59.999999'::time, '23:59:59+05:30'::timetz;
select 'f47ac10b-58cc-4372-a567-0e02b2c3d479'::uuid, '10.0.0.0/8'::cidr, '192.168.1.5/24'::inet,
  '08:00:2b:01:02:03'::macaddr, '08:00:2b:01:02:03:04:05'::macaddr8;
select '(1,2)'::point, '[(0,0),(1,1)]'::lseg, '(2,2),(0,0)'::box, '((0,0),(1,1),(2,0))'::path,
  '((0,0),(1,1),(2,0))'::polygon, '<(1,1),2>'::circle, '{1,2,3}'::line;
select '[1,10)'::int4range, '(,5]'::numrange, 'empty'::int4range, '[2024-01-01,2024-02-01)'::daterange;
select '{[1,3),[5,8)}'::int4multirange;
select b'1010'::bit(4), b'101'::varbit, '12.34'::money;
select 'fat & rat'::tsquery, 'a fat cat sat'::tsvector;
select '{"a":[1,2,{"b":null}]}'::json, '{"b":1,"a":[true,"x"]}'::jsonb, '$.a[*]'::jsonpath;
select 'pg_class'::regclass, 'int4'::regtype, 'now()'::regprocedure, 'public'::regnamespace;
select row(1, 'two', null, row(3)), array[row(1, 'a')];
select '16/B374D848'::pg_lsn, '10:20:10,14,15'::pg_snapshot;
create type mood as enum ('sad', 'ok', 'happy');
create type pair as (k text, v int);
create domain positive as int check (value > 0);
select 'ok'::mood, array['sad', 'happy']::mood[], row('k', 1)::pair, 5::positive;
select (-5)::positive;
select pg_typeof(1), pg_typeof(1.5), pg_typeof('x'), pg_typeof(array[1]), pg_typeof(row(1));
