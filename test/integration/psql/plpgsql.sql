create function inner_one(n int) returns int language plpgsql as $$
begin
  raise notice 'inner %', n;
  return 1 / n;
end $$;
create function outer_one(n int) returns int language plpgsql as $$
declare r int;
begin
  r := inner_one(n);
  return r;
exception when division_by_zero then
  get stacked diagnostics r = row_count;
  return -1;
end $$;
create function failing(n int) returns int language plpgsql as $$
begin
  perform inner_one(n);
  execute 'select 1 from missing_table';
  return 0;
end $$;
select outer_one(1), outer_one(0);
select inner_one(0);
select failing(1);
do $$ begin raise exception 'custom %', 42 using errcode = 'P1234', detail = 'a detail', hint = 'a hint', column = 'c', table = 't', constraint = 'k'; end $$;
\errverbose
do $$ begin raise debug 'unseen'; raise log 'unseen'; raise info 'info'; raise warning 'warning' using hint = 'h'; end $$;
do $$ begin raise sqlstate '22012'; end $$;
do $$ begin raise unique_violation using message = 'made up'; end $$;
do $$ begin assert false, 'assertion text'; end $$;
create function bad() returns int language plpgsql as $$ begin retrun 1; end $$;
create function trig() returns trigger language plpgsql as $$ begin raise exception 'no % on %', tg_op, tg_relname; end $$;
create table guarded (a int);
create trigger g before insert on guarded for each row execute function trig();
insert into guarded values (1);
create procedure steps() language plpgsql as $$
begin
  for i in 1..3 loop
    insert into done values (i);
    if i = 2 then rollback; else commit; end if;
  end loop;
end $$;
create table done (i int);
call steps();
select * from done order by i;
begin;
call steps();
rollback;
create function many() returns setof int language sql as 'select generate_series(1, 3)';
select many(), many() * 10;
create procedure p_out(in a int, inout b int, out c int) language plpgsql as $$ begin b := a + b; c := a * 2; end $$;
call p_out(2, 3, null);
