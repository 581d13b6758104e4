;
;;;
-- only a comment
/* only /* nested */ comment */
select /* inside */ 1 -- trailing
;
select $$dollar$$, $tag$ $$ inside $tag$, $a$;$a$;
select 'it''s', E'it\'s', "quoted" from (select 1 as "quoted") q;
select 'continued '
  'string';
select 1::int4::text::varchar, cast('1' as int), int '5', '5'::int;
select -1, - -1, +1, 5 - -3, 2 ^ -1, @ -5, |/ 16, 5 !~ '6';
select 1 where 1 <> 2 and 1 != 2 and not 1 = 2 and 1 is distinct from null;
select "select" from (select 1 as "select") "from";
select a.b from (select 1 as b) as a;
select array[1,2][1], (array[1,2])[1], '{"a":1}'::jsonb -> 'a';
select case when true then 'yes' end, coalesce(null, 'c'), nullif(1, 1), greatest(1, null, 3);
select 'x' like 'x%', 'x' ~ '^x', 'abc' similar to 'a_c', 'a' between 'a' and 'b';
select 0x1F, 0b101, 0o17, 1_000;
select 1e3, .5, 5., 1.e2;
select 'unterminated;
'
;
select "unterminated;
"
;
select $$a
b$$;
SELECT Upper('MiXed'), LOWER("Col") FROM (SELECT 'C' AS "Col") T;
select 1 as "a""b", '\' as backslash, '%s %% :notvar' as percent;
select :: int;
select 1 as 日本, 'ß' as straße;
select	'tab',
 'nbsp';
