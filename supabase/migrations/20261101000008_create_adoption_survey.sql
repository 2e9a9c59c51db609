-- Purpose: what an adoption will do to an older application's tables, to be read first (adoption_survey), and its first step
-- (begin_adoption): refuse while that costs nothing, write every finding down, close what is open.
-- Who may call: the owner. begin_adoption is the first statement of create_tenancy.
-- The last migration drops all of it. Locks: begin_adoption: short ACCESS EXCLUSIVE on the adopted tables that have foreign policies.

create or replace function private.adoption_survey()
returns table (decision text, relation text, object text, definition text, remedy text)
language sql
stable
set search_path = ''
as $$
  with kept as (
    select f.object from private.foreign_access() f where f.kept is not null
  ), altered as (
    -- the columns whose type becomes exact cents, where it is another
    select c.oid, a.attnum, format('public.%I.%I', c.relname, a.attname) as name, c.relname::text as relation
    from (values ('fanvue_transactions', 'amount'), ('models', 'revenue_total')) t(relation, column_name)
    join pg_catalog.pg_class c on c.oid = to_regclass('public.' || t.relation)
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = t.column_name and not a.attisdropped
    where format_type(a.atttypid, a.atttypmod) <> 'numeric(14,2)'
  ), blockers as (
    select distinct t.relation, t.name,
           coalesce(case v.relkind when 'v' then 'view ' when 'm' then 'materialized view ' end || v.oid::regclass::text,
                    pg_describe_object(d.classid, d.objid, d.objsubid)) as object,
           case when v.relkind in ('v', 'm') then pg_get_viewdef(v.oid) end as definition,
           case v.relkind when 'v' then 'drop view ' when 'm' then 'drop materialized view ' end || v.oid::regclass::text as remedy
    from altered t
    join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = t.oid and d.refobjsubid = t.attnum
    left join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = d.objid
    left join pg_catalog.pg_class v on v.oid = r.ev_class
    where d.classid in ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_publication_rel'::regclass)
       or (d.classid = 'pg_catalog.pg_policy'::regclass
           and exists (select from kept k join pg_catalog.pg_policy p on p.oid = d.objid and k.object = format('policy %I on public.%I', p.polname, t.relation)))
       or (d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'a'
           and exists (select from pg_catalog.pg_attribute g where g.attrelid = d.objid and g.attnum = d.objsubid and g.attgenerated <> ''))
       or (d.classid = 'pg_catalog.pg_attrdef'::regclass
           and exists (select from pg_catalog.pg_attrdef e join pg_catalog.pg_attribute g on g.attrelid = e.adrelid and g.attnum = e.adnum
                       where e.oid = d.objid and g.attgenerated <> ''))
  ), columns as (
    select c.relname::text as relation, a.attname::text as name
    from unnest(private.adopted_tables()) t(name)
    join pg_catalog.pg_class c on c.oid = to_regclass('public.' || t.name)
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where a.attname <> all (private.member_columns(t.name))
      and has_column_privilege('authenticated', c.oid, a.attnum, 'select')
  )
  select 'refused', b.relation, b.object,
         format('uses %s, which becomes numeric(14,2)%s', b.name, ': ' || b.definition),
         coalesce(b.remedy, 'take it away') || ' and make it again after the migration'
  from blockers b
  union all
  select 'refused', c.relname::text, format('owner %s of public.%I', c.relowner::regrole, c.relname), 'the migrations cannot change this table',
         format('alter table public.%I owner to %I', c.relname, current_user)
  from unnest(private.adopted_tables()) t(name)
  join pg_catalog.pg_class c on c.oid = to_regclass('public.' || t.name)
  where not pg_has_role(current_user, c.relowner, 'usage')
  union all
  select 'refused', c.relname::text, format('relation public.%I', c.relname), 'the migrations make one of this name',
         format('alter %s public.%I rename to %I', case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end, c.relname, 'older_' || c.relname)
  from pg_catalog.pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relname = any (private.engine_relations())
    and not (c.relkind in ('r', 'p') and c.relname = any (private.adopted_tables()))
  union all
  select 'refused', 'functions', format('function %s', p.oid::regprocedure), 'the migrations make functions of this name',
         format('alter routine %s rename to %I', p.oid::regprocedure, 'older_' || p.proname)
  from pg_catalog.pg_proc p
  where p.pronamespace = 'public'::regnamespace and p.proname = any (private.engine_functions())
  union all
  -- All but what was made here before the adoption begins. It stays, and most of it is in nobody's way; but one that has a name of the engine's is replaced, or stops the migration that makes that
  select 'told', 'schema ' || o.schema, o.object, 'stands in a schema that the engine takes for itself',
         format('create schema if not exists %I; alter %s set schema %1$I', 'older_' || o.schema, o.object)
  from (select c.relnamespace::regnamespace::text as schema,
               format('%s %s', case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'c' then 'type'
                                              when 'f' then 'foreign table' else 'table' end, c.oid::regclass) as object
        from pg_catalog.pg_class c
        where c.relnamespace in ('private'::regnamespace, 'ops'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c', 'S')
          and c.relname <> all (array['engine_clock', 'adoption_findings', 'kept_access', 'access_inventory', 'actions'])
          -- what belongs to a column goes with its table
          and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e'))
        union all
        select p.pronamespace::regnamespace::text, format('routine %s', p.oid::regprocedure)
        from pg_catalog.pg_proc p
        where p.pronamespace in ('private'::regnamespace, 'ops'::regnamespace) and p.proname <> all (array[
                'engine_now', 'engine_relations', 'adopted_tables', 'engine_functions', 'engine_rules', 'followed_tables', 'member_columns', 'table_rights',
                'table_policies', 'table_triggers', 'foreign_access', 'adoption_survey', 'begin_adoption', 'grant_member_columns', 'grant_what_is_kept',
                'note_action', 'member_error', 'usual_reason_code', 'reason_words'])) o
  union all
  select 'refused', t.relation, t.object, 'the migrations make one of this name',
         format('alter trigger %I on public.%I rename to %I', t.name, t.relation, 'older_' || t.name)
  from private.table_triggers() t
  where t.object = any (private.engine_rules())
  union all
  -- one that is not kept is dropped
  select 'refused', f.relation, f.object, 'kept, and the migrations make one of this name', 'rename it, and keep it by its new name'
  from private.foreign_access() f
  where f.kept is not null and f.object = any (private.engine_rules())
  union all
  select case when f.kept is not null then 'kept' when f.closes then 'closed' when not f.closes then 'told' else 'refused' end,
         f.relation, f.object, f.definition, f.remedy
  from private.foreign_access() f
  -- below
  where f.object not like 'column %'
  union all
  select case when k.object is not null then 'kept' else 'closed' end, c.relation, x.object,
         format('grant select (%I) on public.%I to authenticated', c.name, c.relation), null
  from columns c
  cross join lateral (select format('column public.%I.%I', c.relation, c.name) as object) x
  left join private.kept_access k on k.object = x.object
$$;
comment on function private.adoption_survey() is
  'What the migrations will do to an older application''s tables. refused: they stop before anything is changed, remedy says what to do first. closed: it opens a table to the API and is taken away. '
  'kept: it stays, as private.kept_access says. told: it is left to the operator. A closed column is one that members will not read any more. Empty: nothing stands in the way.';
revoke all on function private.adoption_survey() from public, anon, authenticated, service_role;

create or replace function private.begin_adoption()
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_refused text;
  v_remedies text[];
  v_remedy text;
begin
  select string_agg(format('%s (%s)', s.object, s.remedy), '; ' order by s.object) into v_refused
  from private.adoption_survey() s
  where s.decision = 'refused';
  if v_refused is not null then
    raise exception 'nothing of the older application was changed, as this stands in the way: %', v_refused
      using errcode = '2BP01', hint = 'docs/adopt.md, "Look first", shows all of it; then apply the migrations again';
  end if;
  with found as (
    insert into private.adoption_findings (table_name, finding, decision, before)
    select s.relation, s.object, s.decision, jsonb_build_object('definition', s.definition, 'remedy', s.remedy)
    from private.adoption_survey() s
    returning decision, before ->> 'remedy' as remedy
  )
  select array_agg(f.remedy) into v_remedies from found f where f.decision = 'closed' and f.remedy is not null;
  foreach v_remedy in array coalesce(v_remedies, '{}') loop
    execute v_remedy;
  end loop;
end
$$;
comment on function private.begin_adoption() is
  'The first step of an adoption. Refuses with a reason before anything is changed; else writes down in private.adoption_findings what opens the older application''s tables, and closes what no written decision keeps.';
revoke all on function private.begin_adoption() from public, anon, authenticated, service_role;

create or replace function private.grant_member_columns(p_table text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_columns text;
begin
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into v_columns
  from pg_catalog.pg_attribute a
  where a.attrelid = to_regclass('public.' || quote_ident(p_table)) and a.attnum > 0 and not a.attisdropped
    and a.attname = any (private.member_columns(p_table));
  execute format('grant select (%s) on public.%I to authenticated', v_columns, p_table);
end
$$;
comment on function private.grant_member_columns(text) is 'Lets members read the allowed columns of an adopted table.';
revoke all on function private.grant_member_columns(text) from public, anon, authenticated, service_role;

create or replace function private.grant_what_is_kept()
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_kept text;
begin
  for v_kept in
    select f.before ->> 'definition' from private.adoption_findings f
    where f.decision = 'kept' and (f.finding like 'right to %' or f.finding like 'column %')
  loop
    execute v_kept;
  end loop;
end
$$;
comment on function private.grant_what_is_kept() is
  'Gives back the rights and columns that stay by decision: the migrations revoked all of the adopted tables. Called once the engine''s own are recorded, so that they stay foreign.';
revoke all on function private.grant_what_is_kept() from public, anon, authenticated, service_role;
