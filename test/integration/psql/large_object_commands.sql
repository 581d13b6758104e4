-- psql's own commands use the function call protocol.
\! head -c 100000 /dev/zero | tr '\0' 'z' > lo.txt
\lo_import 'lo.txt' 'a comment'
\set oid :LASTOID
select octet_length(lo_get(:oid)), md5(lo_get(:oid));
\lo_export :oid 'lo_out.txt'
\! cmp lo.txt lo_out.txt && echo same
begin;
\lo_import 'lo.txt'
rollback;
\lo_unlink :oid
\lo_unlink :oid
\lo_export :oid 'gone.txt'
\lo_import 'nofile'
select count(*) from pg_largeobject_metadata;
