create table b (i int, t text, n numeric, f float8, d timestamptz, j jsonb, y bytea, a int[]);
insert into b select g, repeat('x', g), g / 7.0, g / 7.0, '2024-01-01'::timestamptz + g * interval '1 min', jsonb_build_object('g', g), decode(md5(g::text), 'hex'), array[g, null, g + 1] from generate_series(1, 200) g;
insert into b (i) values (0);
\copy b to 'b.bin' (format binary)
create table b2 (like b);
\copy b2 from 'b.bin' (format binary)
select count(*), md5(string_agg(b2::text, '|' order by i)) from b2;
(table b except table b2) union all (table b2 except table b);
\copy b2 from 'short.txt' (format binary)
\! printf 'not binary at all' > bad.bin
\copy b2 from 'bad.bin' (format binary)
\! printf 'PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\010\0\0\0\004' > torn.bin
\copy b2 from 'torn.bin' (format binary)
select count(*) from b2;
\copy (select 1::int, null::text) to 'one.bin' (format binary)
\! od -An -tx1 one.bin
