-- Purpose: what operators did (ops.actions), written by every function that mends.
-- Who may call: note_action the functions of schema ops; operators read ops.actions in Studio.
-- Locks: none on existing tables.

create table ops.actions (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  action text not null,
  target text not null,
  arguments jsonb not null default '{}',
  changed jsonb not null default '{}',
  who text not null,
  user_id text,
  client text
);
comment on table ops.actions is
  'What operators did with the functions of this schema, newest last: written in the same transaction, so what was rolled back is not here. '
  'A call that changed nothing leaves no row. Nobody but the owner can change it; kept as long as private.retention says.';
comment on column ops.actions.at is 'When, by the engine''s clock.';
comment on column ops.actions.action is 'The function of schema ops that was called.';
comment on column ops.actions.target is 'What it was called on, in words.';
comment on column ops.actions.arguments is 'What it was called with. No personal data: an erased fan stands here under the alias.';
comment on column ops.actions.changed is 'What it changed: before and after, or counts.';
comment on column ops.actions.who is 'The database''s user and, where it is another, the role it acted as.';
comment on column ops.actions.user_id is 'The signed-in user (sub of the JWT), where there is one.';
comment on column ops.actions.client is 'The program, as it named itself to the database.';
create index actions_at_idx on ops.actions (at);
revoke all on ops.actions from public, anon, authenticated, service_role;
grant select on ops.actions to service_role;

create or replace function private.note_action(p_action text, p_target text, p_arguments jsonb, p_changed jsonb)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- the role that was set; a definer's function does not change it
  v_role text := nullif(current_setting('role', true), 'none');
  v_user text;
begin
  begin
    v_user := nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub';
  exception when others then
    v_user := null;
  end;
  insert into ops.actions (at, action, target, arguments, changed, who, user_id, client)
  values (private.engine_now(), p_action, p_target, coalesce(p_arguments, '{}'), coalesce(p_changed, '{}'),
          session_user || case when v_role <> session_user then ' as ' || v_role else '' end,
          v_user, nullif(current_setting('application_name', true), ''));
end
$$;
comment on function private.note_action(text, text, jsonb, jsonb) is
  'Adds a row to ops.actions. Definer, because its callers may read the trail but not write it.';
revoke all on function private.note_action(text, text, jsonb, jsonb) from public, anon, authenticated;
grant execute on function private.note_action(text, text, jsonb, jsonb) to service_role;
