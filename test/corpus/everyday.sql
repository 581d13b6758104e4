-- What drivers, ORMs, BI tools and psql send: a statement a line. None of it asks for a masked column.
SELECT n.nspname as "Schema", c.relname as "Name", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END as "Type", pg_catalog.pg_get_userbyid(c.relowner) as "Owner", pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)) as "Size", pg_catalog.obj_description(c.oid, 'pg_class') as "Description" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.relkind IN ('r','p','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2
SELECT c.relchecks, c.relkind, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity, c.relforcerowsecurity, false AS relhasoids, c.relispartition, pg_catalog.array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', '), c.reltablespace, CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END, c.relpersistence, c.relreplident, am.amname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid) LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid) WHERE c.oid = '16385'
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull, (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation, a.attidentity, a.attgenerated FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16385' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
SELECT c2.relname, i.indisprimary, i.indisunique, i.indisclustered, i.indisvalid, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_catalog.pg_get_constraintdef(con.oid, true), contype, condeferrable, condeferred, i.indisreplident, c2.reltablespace FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid AND contype IN ('p','u','x')) WHERE c.oid = '16385' AND c.oid = i.indrelid AND i.indexrelid = c2.oid ORDER BY i.indisprimary DESC, c2.relname
SELECT conname, conrelid::pg_catalog.regclass AS ontable, pg_catalog.pg_get_constraintdef(oid, true) AS condef FROM pg_catalog.pg_constraint c WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('16385') UNION ALL VALUES ('16385'::pg_catalog.regclass)) AND contype = 'f' AND conparentid = 0 ORDER BY conname
SELECT pol.polname, pol.polpermissive, CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END, pg_catalog.pg_get_expr(pol.polqual, pol.polrelid) FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '16385' ORDER BY 1
SELECT oid, stxrelid::pg_catalog.regclass, stxnamespace::pg_catalog.regnamespace::pg_catalog.text AS nsp, stxname, pg_catalog.pg_get_statisticsobjdef_columns(oid) AS columns, 'd' = any(stxkind) AS ndist_enabled FROM pg_catalog.pg_statistic_ext WHERE stxrelid = '16385' ORDER BY nsp, stxname
SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid JOIN pg_catalog.pg_class pc ON pc.relnamespace = pn.pnnspid WHERE pc.oid ='16385' and pg_catalog.pg_relation_is_publishable('16385') UNION SELECT pubname, pg_get_expr(pr.prqual, c.oid), (CASE WHEN pr.prattrs IS NOT NULL THEN (SELECT string_agg(attname, ', ') FROM pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s, pg_catalog.pg_attribute WHERE attrelid = pr.prrelid AND attnum = prattrs[s]) ELSE NULL END) FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid JOIN pg_catalog.pg_class c ON c.oid = pr.prrelid WHERE pr.prrelid = '16385' ORDER BY 1
SELECT t.tgname, pg_catalog.pg_get_triggerdef(t.oid, true), t.tgenabled, t.tgisinternal, CASE WHEN t.tgparentid != 0 THEN (SELECT u.tgrelid::pg_catalog.regclass FROM pg_catalog.pg_trigger AS u, pg_catalog.pg_partition_ancestors(t.tgrelid) WITH ORDINALITY AS a(relid, depth) WHERE u.tgname = t.tgname AND u.tgrelid = a.relid AND u.tgparentid = 0 ORDER BY a.depth LIMIT 1) END AS parent FROM pg_catalog.pg_trigger t WHERE t.tgrelid = '16385' AND (NOT t.tgisinternal) ORDER BY 1
SELECT d.datname as "Name", pg_catalog.pg_get_userbyid(d.datdba) as "Owner", pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding", CASE WHEN pg_catalog.array_length(d.datacl, 1) = 0 THEN '(none)' ELSE pg_catalog.array_to_string(d.datacl, E'\n') END AS "Access privileges" FROM pg_catalog.pg_database d ORDER BY 1
SELECT n.nspname as "Schema", p.proname as "Name", pg_catalog.pg_get_function_result(p.oid) as "Result data type", pg_catalog.pg_get_function_arguments(p.oid) as "Argument data types", CASE p.prokind WHEN 'a' THEN 'agg' ELSE 'func' END as "Type" FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE pg_catalog.pg_function_is_visible(p.oid) AND n.nspname <> 'pg_catalog' ORDER BY 1, 2, 4
SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolconnlimit, r.rolvaliduntil, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) as memberof FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1
SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default, ordinal_position FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1,2,7
SELECT tc.table_schema, tc.constraint_name, tc.table_name, kcu.column_name, ccu.table_schema AS foreign_table_schema, ccu.column_name AS foreign_column_name FROM information_schema.table_constraints AS tc JOIN information_schema.key_column_usage AS kcu ON tc.constraint_name = kcu.constraint_name AND tc.table_schema = kcu.table_schema JOIN information_schema.constraint_column_usage AS ccu ON ccu.constraint_name = tc.constraint_name WHERE tc.constraint_type = 'FOREIGN KEY'
SELECT version(), current_database(), current_schema(), current_setting('server_version_num')::int, pg_backend_pid(), now(), current_user
SELECT * FROM pg_catalog.pg_type t WHERE t.typname = 'x'
SELECT pid, state, count(*) OVER () FROM pg_stat_activity WHERE pid <> pg_backend_pid()
SELECT t.typname, ARRAY(SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) FROM pg_type t, (SELECT oid FROM pg_type) q WHERE t.oid = q.oid
SHOW server_version
SET search_path TO public
SELECT name, setting, COALESCE(unit, '') FROM pg_catalog.pg_settings WHERE name ~ 'x'
SELECT s.schemaname, s.relname, n_live_tup FROM pg_stat_user_tables s
SELECT pg_size_pretty(pg_total_relation_size('users'))
SELECT * FROM generate_series(1,3) g(i), unnest(ARRAY['a','b']) WITH ORDINALITY AS u(x, n), json_each('{}') je, LATERAL (SELECT g.i * 2 AS d) z
SELECT key, value FROM jsonb_each_text('{"a":1}'::jsonb)
SELECT x.* FROM jsonb_to_recordset('[]') AS x(a int, b text)
SELECT (aclexplode(relacl)).grantee FROM pg_class
SELECT (information_schema._pg_expandarray(ARRAY[1,2])).n
SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, a.attname AS COLUMN_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME, information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON ( a.attrelid = i.indrelid) JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE true AND ct.relname = 'users' AND i.indisprimary
select current_schemas(false)
SELECT CAST(generate_series AS text) FROM generate_series(1,2)
SELECT "users"."id" AS "users__id", date_trunc('month', "o"."created_at") AS m, SUM(o.total) FILTER (WHERE o.total > 0), row_number() OVER (PARTITION BY o.user_id ORDER BY o.created_at DESC) rn FROM "public"."users" LEFT OUTER JOIN orders o ON o.user_id = users.id WHERE "users"."id" = ANY($1) AND o.created_at BETWEEN $2 AND $3 GROUP BY 1, 2, o.user_id, o.created_at HAVING count(*) > 1 ORDER BY m DESC NULLS LAST LIMIT 50 OFFSET $4
SELECT oid::regclass::text, xmin, ctid FROM pg_class LIMIT 1
SELECT id, ctid, tableoid::regclass FROM users
SELECT "User"."id", "User"."name", "Orders"."id" AS "Orders.id", "Orders"."total" AS "Orders.total" FROM "users" AS "User" LEFT OUTER JOIN "orders" AS "Orders" ON "User"."id" = "Orders"."user_id" WHERE ("User"."id" > $1 AND "User"."name" ILIKE $2) ORDER BY "User"."id" ASC LIMIT $3 OFFSET $4
SELECT "public"."users"."id", "public"."users"."name" FROM "public"."users" WHERE ("public"."users"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3
INSERT INTO "public"."products" ("id","title","price") VALUES ($1,$2,$3) RETURNING "public"."products"."id"
UPDATE "public"."products" SET "title" = $1 WHERE ("public"."products"."id" = $2 AND 1=1) RETURNING "public"."products"."id", "public"."products"."title"
INSERT INTO products (id, title) VALUES (1, 'a'), (2, 'b') ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title WHERE products.title IS DISTINCT FROM EXCLUDED.title
SELECT "source"."d" AS "d", SUM("source"."total") AS "sum", COUNT(*) AS "count" FROM (SELECT DATE_TRUNC('month', "public"."orders"."created_at") AS "d", "public"."orders"."total" AS "total", CASE WHEN "public"."orders"."total" > 100 THEN 'big' ELSE 'small' END AS "size" FROM "public"."orders") AS "source" WHERE "source"."size" = 'big' GROUP BY "source"."d" ORDER BY "source"."d" ASC
SELECT COUNT(DISTINCT "orders"."user_id") AS "count", CAST(SUM(CASE WHEN orders.total > 5 THEN 1 ELSE 0 END) AS float) FROM "orders"
WITH "filtered" AS (SELECT o.*, row_number() OVER (PARTITION BY o.user_id ORDER BY o.created_at DESC) AS rn FROM orders o) SELECT id, total FROM filtered WHERE rn = 1
SELECT u.id, u.name, coalesce(x.n, 0) FROM users u LEFT JOIN (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) x ON x.user_id = u.id WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.total > 10)
SELECT json_agg(row_to_json(t)) FROM (SELECT id, title FROM products WHERE qty > 0) t
SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_0_root.base"."id" AS "id", "_0_root.base"."title" AS "title") AS "_e")) AS "root" FROM (SELECT * FROM "public"."products" WHERE ('true')) AS "_0_root.base") AS "_1_root"
DELETE FROM products WHERE id = ANY($1::int[]) RETURNING id
BEGIN
COMMIT
SAVEPOINT a
ROLLBACK TO SAVEPOINT a
SET application_name = 'x'
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
SHOW TRANSACTION ISOLATION LEVEL
SELECT 1
SELECT t.oid, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = 'public' AND t.typtype = 'e'
SELECT typinput = 'array_in'::regproc AS is_array, typtype, typname, pg_type.oid FROM pg_type LEFT JOIN (SELECT ns.oid AS nspoid, ns.nspname, r.r FROM pg_namespace AS ns JOIN (SELECT s.r, (current_schemas(false))[s.r] AS nspname FROM generate_series(1, array_upper(current_schemas(false), 1)) AS s(r)) AS r USING (nspname)) AS sp ON sp.nspoid = typnamespace WHERE pg_type.oid = $1 ORDER BY sp.r, pg_type.oid DESC
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment, attidentity AS identity, attgenerated AS attgenerated FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation WHERE a.attrelid = '"users"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
SELECT a.attname FROM ( SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index WHERE indrelid = '"users"'::regclass AND indisprimary ) i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx] ORDER BY i.idx
EXPLAIN (ANALYZE, BUFFERS) SELECT id FROM products WHERE id = 1
COPY products TO STDOUT WITH (FORMAT csv, HEADER)
COPY products (id, title) FROM STDIN
DECLARE c CURSOR FOR SELECT id, title FROM products
LISTEN x
NOTIFY x, 'y'
SELECT pg_advisory_lock(1), pg_try_advisory_xact_lock(2)
SELECT nextval('audit_log_id_seq'), currval('audit_log_id_seq'), last_value FROM audit_log_id_seq
CREATE INDEX CONCURRENTLY i ON products (lower(title)) WHERE qty > 0
CREATE TABLE t (id serial PRIMARY KEY, a text DEFAULT 'x' NOT NULL, b int CHECK (b > 0), FOREIGN KEY (b) REFERENCES products)
CREATE TABLE t AS SELECT id, title FROM products
DROP TABLE IF EXISTS t
TRUNCATE audit_log
VACUUM ANALYZE products
