-- Purpose: the last migration. What opens the engine's tables to the API is recorded, so that whatever comes later is seen:
-- ops.foreign_access, which doctor and ops.health ask. And what the newest migration is.
-- Who may call: service_role, and the owner in Studio.
-- Locks: none.

create or replace view ops.foreign_access
with (security_invoker = true) as
select f.kind, f.object, case when f.kept is null then 'attention' else 'kept' end as state, f.kept as why, f.remedy,
       case when f.kept is null and f.kind <> 'missing' then format('select ops.keep_access(%L, %L)', f.object, 'why it stays') end as keep_it, f.definition
from private.foreign_access() f;
comment on view ops.foreign_access is
  'What opens the engine''s tables to the API or hands their rows on and was not made by the engine (policies, rights, functions, views, triggers, publications, memberships), and policies and triggers of the engine that are missing, disabled or changed. Empty is good.';
comment on column ops.foreign_access.kind is 'policy, right, row security (it is off), view, function, trigger, publication, role, or missing (also: disabled).';
comment on column ops.foreign_access.object is 'What it is.';
comment on column ops.foreign_access.state is 'attention, or kept: by a decision of an operator.';
comment on column ops.foreign_access.why is 'Why it was kept.';
comment on column ops.foreign_access.remedy is 'The statement that puts it right.';
comment on column ops.foreign_access.keep_it is 'The call that keeps it, with your reason.';
comment on column ops.foreign_access.definition is 'The statement that makes it.';
revoke all on ops.foreign_access from public, anon, authenticated;
grant select on ops.foreign_access to service_role;

create or replace function ops.keep_access(p_object text, p_why text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_access record;
begin
  select f.object, f.kept, f.definition into v_access from private.foreign_access() f where f.object = p_object and f.kind <> 'missing';
  if not found then
    raise sqlstate 'PT404' using message = format('nothing foreign is called %L', p_object), hint = 'ops.foreign_access names it in the column object';
  end if;
  if nullif(btrim(p_why), '') is null then
    raise sqlstate 'PT422' using message = 'say why it stays';
  end if;
  if v_access.kept is not null then
    return jsonb_build_object('object', p_object, 'changed', false, 'message', 'nothing to do: it is kept already, as ' || v_access.kept);
  end if;
  insert into private.kept_access (object, why, decided_at) values (p_object, btrim(p_why), private.engine_now());
  -- alerts are compared with the catalog every five minutes; this one is over now
  update private.alert_states a set state = 'clear', changed_at = private.engine_now()
  where a.kind = 'foreign_access' and a.subject = p_object and a.state = 'raised';
  perform private.note_action('keep_access', p_object, jsonb_build_object('object', p_object, 'why', p_why), jsonb_build_object('definition', v_access.definition));
  return jsonb_build_object('object', p_object, 'changed', true, 'message', 'kept: ops.health asks about it no more; delete its row in private.kept_access to undo that');
end
$$;
comment on function ops.keep_access(text, text) is
  'Keeps what ops.foreign_access shows, with a reason: doctor and ops.health are content with it. It goes on giving access to whoever it gives access to. Errors: 404 no such thing, 422 no reason.';
revoke all on function ops.keep_access(text, text) from public, anon, authenticated;
grant execute on function ops.keep_access(text, text) to service_role;

create or replace function private.record_access()
returns void
language sql
set search_path = ''
as $$
  insert into private.access_inventory (kind, object, definition)
  select 'policy', p.object, p.definition
  from private.table_policies() p
  -- what was kept is the operator's, today and when that is undone
  where (p.relation = any (private.engine_relations()) and not exists (select from private.adoption_findings f where f.finding = p.object and f.decision = 'kept'))
     or p.object = 'policy "members hear their agency" on realtime.messages'
  on conflict (kind, object) do update set definition = excluded.definition;
  insert into private.access_inventory (kind, object, definition)
  select 'right', concat_ws(' ', r.privilege, r.relation, r.column_name, 'to', r.grantee),
         format('grant %s%s on public.%I to %s', r.privilege, ' (' || quote_ident(r.column_name) || ')', r.relation, r.grantee)
  from private.table_rights() r
  where r.relation = any (private.engine_relations())
  on conflict (kind, object) do nothing;
  -- those of an older application are the operator's to judge
  insert into private.access_inventory (kind, object, definition)
  select 'trigger', t.object, t.definition
  from private.table_triggers() t
  where t.relation = any (private.engine_relations())
    and not exists (select from private.adoption_findings f where f.finding = t.object)
  on conflict (kind, object) do nothing;
  insert into private.access_inventory (kind, object, definition)
  select 'function', a.object, md5(lower(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)))
  from private.foreign_access() a
  join pg_catalog.pg_proc p on p.oid = substr(a.object, 10)::regprocedure
  where a.kind = 'function' and not exists (select from private.adoption_findings f where f.finding = a.object)
    and (p.pronamespace <> 'public'::regnamespace or p.proname = any (private.engine_functions()))
  on conflict (kind, object) do update set definition = excluded.definition
$$;
comment on function private.record_access() is
  'Records what opens the engine''s tables to the API as made by the migrations. Never call it to silence ops.foreign_access: it takes everything that stands there for the engine''s own.';
revoke all on function private.record_access() from public, anon, authenticated, service_role;

select private.record_access();
select private.grant_what_is_kept();
-- What only an adoption calls has no business in a running engine.
drop function private.begin_adoption(), private.adoption_survey(), private.grant_member_columns(text), private.grant_what_is_kept();

create or replace function private.schema_version()
returns text
language sql
immutable
set search_path = ''
as $$
  select '20261101001999'
$$;
