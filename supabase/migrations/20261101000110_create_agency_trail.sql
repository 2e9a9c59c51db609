-- Purpose: the trail of an agency: who joined, left or changed role, which accounts were connected or paused, and by whom.
-- ops.actions is the operators' own trail of their calls; this one is written by triggers, so it also knows what a member, the
-- service or a statement in Studio changed, and every member of the agency reads it.
-- Who may call: note_change the triggers and functions of the engine; nobody writes the table himself.
-- Locks: none on existing tables.

create table public.agency_trail (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  at timestamptz not null default private.engine_now(),
  action text not null,
  who text not null,
  user_id uuid,
  subject_id uuid,
  detail jsonb not null default '{}',
  constraint agency_trail_action_check check (action in (
    'member_added', 'member_removed', 'role_changed', 'member_invited', 'invitation_revoked', 'link_created', 'link_revoked',
    'creator_added', 'creator_connected', 'creator_disconnected', 'creator_refused', 'creator_paused', 'creator_resumed', 'creator_removed',
    'account_connected', 'account_refused', 'account_removed', 'agency_paused', 'agency_resumed')),
  constraint agency_trail_who_check check (who in ('member', 'service', 'operator'))
);
comment on table public.agency_trail is
  'Changes of members, roles, connections and pauses of an agency, readable for its members. No secrets, and neither names nor addresses of creators or people: '
  'ids alone. Kept as long as ops.actions.';
comment on column public.agency_trail.at is 'When, by the engine''s clock.';
comment on column public.agency_trail.action is 'What happened. creator_*: one creator; account_*: the agency''s own account at Fanvue; *_refused: Fanvue refused the grant.';
comment on column public.agency_trail.who is
  'member: user_id, signed in. service: the worker, a function or the command line. operator: directly in the database.';
comment on column public.agency_trail.user_id is 'auth.users.id of the member who did it, or who began what the service finished.';
comment on column public.agency_trail.subject_id is 'Whom it is about: the member, model, connection, invitation or link, as the action says.';
comment on column public.agency_trail.detail is 'Particulars: roles before and after, the reason code of a pause, counts.';
create index agency_trail_agency_id_at_idx on public.agency_trail (agency_id, at desc);
create index agency_trail_at_idx on public.agency_trail (at);

alter table public.agency_trail enable row level security;
revoke all on public.agency_trail from public, anon, authenticated, service_role;
grant select on public.agency_trail to authenticated, service_role;
create policy "members see their agency's trail" on public.agency_trail
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));

create or replace function private.note_change(p_agency_id uuid, p_action text, p_subject_id uuid, p_detail jsonb default '{}')
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user uuid;
begin
  begin
    -- began_by is set for one transaction by functions that finish what a member began
    v_user := coalesce(nullif(current_setting('fanvue.began_by', true), ''),
                       nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid;
  exception when invalid_text_representation then
    -- a token that another issuer made names nobody whom Auth knows
    v_user := null;
  end;
  insert into public.agency_trail (agency_id, action, who, user_id, subject_id, detail)
  select a.id, p_action,
         case when v_user is not null then 'member' when current_setting('role', true) = 'service_role' then 'service' else 'operator' end,
         v_user, p_subject_id, jsonb_strip_nulls(coalesce(p_detail, '{}'))
  -- an agency on its way out takes its trail along
  from public.agencies a
  where a.id = p_agency_id;
end
$$;
comment on function private.note_change(uuid, text, uuid, jsonb) is
  'Adds a line to an agency''s trail, with who did it. Definer, because nobody writes the trail himself.';
revoke all on function private.note_change(uuid, text, uuid, jsonb) from public, anon, authenticated;
grant execute on function private.note_change(uuid, text, uuid, jsonb) to service_role;
