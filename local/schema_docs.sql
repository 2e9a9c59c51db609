-- Everything that docs/schema.md tells, as one JSON value; ordered by name, so that equal schemas give equal texts.
with ours as (
  select n.oid, n.nspname::text as name, obj_description(n.oid, 'pg_namespace') as comment
  from pg_namespace n where n.nspname in ('public', 'private', 'ops')
), roles(name) as (
  values ('anon'), ('authenticated'), ('service_role')
), relations as (
  select c.oid, c.relname::text as name, o.name as schema, c.relkind,
         obj_description(c.oid, 'pg_class') as comment,
         c.relkind in ('r', 'p') and c.relrowsecurity as row_security
  from pg_class c
  join ours o on o.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm')
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
), columns as (
  select a.attrelid, a.attnum, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
         a.attnotnull as required, pg_get_expr(d.adbin, d.adrelid) as default, a.attidentity <> '' as numbered,
         a.attgenerated <> '' as generated, col_description(a.attrelid, a.attnum) as comment
  from pg_attribute a
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped
), granted as (
  select r.oid, g.name as role, p.privilege, p.place,
         has_table_privilege(g.name, r.oid, p.privilege) as whole,
         case when p.privilege <> 'delete' then
           (select jsonb_agg(c.name order by c.attnum) from columns c
            where c.attrelid = r.oid and has_column_privilege(g.name, r.oid, c.attnum::smallint, p.privilege))
         end as columns
  from relations r
  cross join roles g
  cross join (values ('select', 0), ('insert', 1), ('update', 2), ('delete', 3)) p(privilege, place)
)
select jsonb_build_object(
  'schemas', (select jsonb_agg(jsonb_build_object('name', o.name, 'comment', o.comment)
                               order by array_position(array['public', 'ops', 'private'], o.name)) from ours o),
  'relations', (
    select jsonb_agg(jsonb_build_object(
      'schema', r.schema, 'name', r.name, 'comment', r.comment,
      'kind', case when r.relkind in ('r', 'p') then 'table' else 'view' end,
      'row_security', r.row_security,
      'columns', (select jsonb_agg(to_jsonb(c) - 'attrelid' - 'attnum' order by c.attnum) from columns c where c.attrelid = r.oid),
      'keys', (select jsonb_agg(jsonb_build_object('kind', k.contype, 'text', pg_get_constraintdef(k.oid))
                                order by array_position(array['p', 'u', 'f', 'c', 'x'], k.contype::text), k.conname)
               from pg_constraint k where k.conrelid = r.oid and k.contype in ('p', 'u', 'f', 'c', 'x')),
      'unique_indexes', (select jsonb_agg(jsonb_build_object('text', pg_get_indexdef(i.indexrelid), 'comment', obj_description(i.indexrelid, 'pg_class'))
                                          order by i.indexrelid::regclass::text)
                         from pg_index i
                         where i.indrelid = r.oid and i.indisunique
                           and not exists (select from pg_constraint k where k.conindid = i.indexrelid)),
      'policies', (select jsonb_agg(jsonb_build_object('name', p.policyname, 'command', lower(p.cmd), 'roles', p.roles) order by p.policyname)
                   from pg_policies p where p.schemaname = r.schema and p.tablename = r.name),
      'grants', (select jsonb_agg(jsonb_build_object('role', g.role, 'privilege', g.privilege, 'columns', case when g.whole then null else g.columns end)
                                  order by g.role, g.place)
                 from granted g where g.oid = r.oid and (g.whole or g.columns is not null)))
      order by r.schema, r.name)
    from relations r),
  'functions', (
    select jsonb_agg(jsonb_build_object(
      'schema', o.name, 'name', p.proname, 'arguments', pg_get_function_identity_arguments(p.oid),
      'returns', pg_get_function_result(p.oid), 'comment', obj_description(p.oid, 'pg_proc'),
      'callers', (select jsonb_agg(g.name order by g.name) from roles g where has_function_privilege(g.name, p.oid, 'execute')))
      order by o.name, p.proname, pg_get_function_identity_arguments(p.oid))
    from pg_proc p
    join ours o on o.oid = p.pronamespace
    where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')));
