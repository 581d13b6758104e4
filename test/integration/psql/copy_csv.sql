create table c (a int, b text, n numeric);
copy c from stdin with (format csv, header);
a,b,n
1,"quoted, comma",1.50
2,"say ""hi""",2
3,"multi
line",
4,,0.0
5,"",-1
\.
select a, b, b is null as b_null, n from c order by a;
copy c to stdout with (format csv, header, force_quote (b));
copy c to stdout (format csv, delimiter ';', quote '''', null 'nil');
copy c from stdin (format csv, force_null (b), null 'x');
6,"x",1
7,x,2
\.
select a, b is null from c where a > 5 order by a;
copy c from stdin (format csv);
8,"unterminated,1
9,x,2
\.
copy c from stdin (format csv);
8,a,b,c,d
\.
copy c from stdin (format csv, header match);
a,wrong,n
1,x,1
\.
copy (select * from c where false) to stdout (format csv, header);
copy c from stdin csv;
21,old style,1
\.
select count(*) from c;
