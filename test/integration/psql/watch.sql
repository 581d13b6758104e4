create sequence ticks;
select nextval('ticks') as tick, 1 / (3 - currval('ticks')) as left \watch 0.05
select last_value from ticks;
insert into nowhere values (1) \watch 0.05
