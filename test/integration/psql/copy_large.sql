-- Many messages each way, and single rows larger than any socket buffer.
create table c (a int, b text);
\copy (select g, repeat(md5(g::text), 20) from generate_series(1, 8000) g) to 'many.txt'
\copy c from 'many.txt'
select count(*), sum(length(b)), md5(string_agg(b, '' order by a)) from c;
\copy (select 1, repeat('0123456789', 500000)) to 'wide.txt'
truncate c;
\copy c from 'wide.txt'
select a, length(b), md5(b) from c;
\copy c to 'wide2.txt'
\! cmp wide.txt wide2.txt && echo same
