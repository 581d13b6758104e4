create table log (n serial, what text);
create table t (a int, b int);
create function note() returns trigger language plpgsql as $$
begin
  insert into log (what) values (tg_when || ' ' || tg_op || ' ' || tg_level);
  raise notice '% % %', tg_when, tg_op, tg_level;
  return coalesce(new, old);
end $$;
create trigger r before insert or update or delete on t for each row execute function note();
create trigger s after truncate on t for each statement execute function note();
create trigger u after update of b on t for each row when (old.b is distinct from new.b) execute function note();
insert into t values (1, 1), (2, 2);
update t set a = a;
update t set b = 5 where a = 1;
delete from t where a = 2;
truncate t;
select * from log order by n;
create view v as select * from t;
create function iv() returns trigger language plpgsql as $$ begin insert into t values (new.a * 100, 0); return new; end $$;
create trigger io instead of insert on v for each row execute function iv();
insert into v values (3, 3);
select * from t;
alter table t disable trigger all;
insert into t values (9, 9);
drop function note();
create event trigger et on ddl_command_end execute function note();
