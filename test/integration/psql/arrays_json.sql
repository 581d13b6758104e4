select array[1,2,3], array[[1,2],[3,4]], '{}'::int[], '{NULL,"NULL","a b","q\"q","b\\s"}'::text[];
select '[2:4]={7,8,9}'::int[], (array[1,2,3])[2:3], array[1,2] || 3, array_fill(0, array[2,3]);
select unnest(array['a',null,'c']) with_null;
select * from unnest(array[1,2], array['x','y','z']) as t(n, s);
select '{"a":1,"a":2}'::json, '{"a":1,"a":2}'::jsonb;
select '{"a":{"b":[10,20,{"c":"d"}]}}'::jsonb #> '{a,b,2,c}', '[1,2,3]'::jsonb -> -1;
select jsonb_pretty('{"b":[1,{"x":null}],"a":"é\u00e9\n\ttab"}');
select jsonb_path_query('{"a":[1,5,10]}', '$.a[*] ? (@ > 3)');
select json_agg(x) from (values (1, 'a'), (2, null)) x(n, s);
select jsonb_set('{"a":1}', '{b,c}', '2'), '{"a":1}'::jsonb @> '{"a":1}', '{"a":1}'::jsonb || '{"b":2}';
select '{bad'::jsonb;
select '{1,2'::int[];
select '"\ud800"'::jsonb;
select array_agg(n order by n desc) from generate_series(1, 12) n;
\x
select * from jsonb_each('{"a":1,"b":[2],"c":{"d":3}}');
