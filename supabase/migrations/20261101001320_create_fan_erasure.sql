-- Purpose: a fan's personal data is erased on request, and no later sync or webhook brings it back.
-- The fan's uuid takes part in the identity of money, so it is not deleted but replaced, everywhere and from then on, by an
-- alias that leads to nobody: rows, amounts, names of rows and what matches what stay exactly as they were.
-- Who may call: ops.erase_fan service_role, and the owner in Studio; the rest is asked by whatever stores what Fanvue sends.
-- Locks: erase_fan takes the lock of erasures, then the fan's: events that name the fan wait as failed meanwhile, no other does. Then, for
-- moments, the gate of the agency's pages, the models that have rows of the fan or are told of in events that name the fan, in the order
-- of their ids, and then those events: the order of whoever applies one.

create table private.erased_fans (
  id bigint generated always as identity primary key,
  fan_hash text not null,
  agency_id uuid references public.agencies (id) on delete cascade,
  alias text not null default gen_random_uuid()::text,
  erased_at timestamptz not null,
  constraint erased_fans_fan_hash_agency_id_key unique nulls not distinct (fan_hash, agency_id)
);
comment on table private.erased_fans is
  'Fans who asked to be forgotten. Consulted before anything that names a fan is stored. Deleting a row lets the fan''s name come back with the next sync.';
comment on column private.erased_fans.fan_hash is 'SHA-256 of the fan''s uuid: enough to know the fan again, not to say who it was.';
comment on column private.erased_fans.agency_id is 'The agency that forgets; null: all of them.';
comment on column private.erased_fans.alias is 'What stands in the place of the fan''s uuid: one for ever, the same for every agency.';
create index erased_fans_agency_id_idx on private.erased_fans (agency_id);
revoke all on private.erased_fans from public, anon, authenticated;
grant select, insert, update, delete on private.erased_fans to service_role;

create or replace function private.keep_alias()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- money is matched by it: a second alias would make the fan's sales a stranger's
  new.alias := coalesce((select e.alias from private.erased_fans e where e.fan_hash = new.fan_hash order by e.id limit 1), new.alias);
  return new;
end
$$;
comment on function private.keep_alias() is 'A fan has one alias for ever, whichever agency erases.';
revoke all on function private.keep_alias() from public, anon, authenticated;
create trigger erased_fans_keep_alias
  before insert on private.erased_fans
  for each row execute function private.keep_alias();

create or replace function private.hold_erasures()
returns void
language sql
set search_path = ''
as $$
  select pg_advisory_xact_lock(hashtextextended('fanvue-erasures', 0))
$$;
comment on function private.hold_erasures() is
  'Taken before any model by what erases fans and what moves models between agencies: neither overlooks what the other does.';
revoke all on function private.hold_erasures() from public, anon, authenticated;
grant execute on function private.hold_erasures() to service_role;

create or replace function private.erasure_gate(p_agency_id uuid)
returns bigint
language plpgsql
immutable
set search_path = ''
as $$
begin
  return hashtextextended('fanvue-erasure-gate ' || coalesce(p_agency_id::text, ''), 0);
end
$$;
comment on function private.erasure_gate(uuid) is 'The key of the gate that the pages of one agency pass, or (null) the pages of all. No two agencies share one.';
revoke all on function private.erasure_gate(uuid) from public, anon, authenticated;
grant execute on function private.erasure_gate(uuid) to service_role;

create or replace function private.share_erasures(p_agency_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- in this order
  perform pg_advisory_xact_lock_shared(private.erasure_gate(null)), pg_advisory_xact_lock_shared(private.erasure_gate(p_agency_id));
end
$$;
comment on function private.share_erasures(uuid) is
  'Taken by a page before its model: no fan of the agency is erased between the page''s look at the list and its commit.';
revoke all on function private.share_erasures(uuid) from public, anon, authenticated;
grant execute on function private.share_erasures(uuid) to service_role;

create or replace function private.close_gates(p_agency_id uuid)
returns void
language sql
set search_path = ''
as $$
  select pg_advisory_xact_lock(private.erasure_gate(p_agency_id))
$$;
comment on function private.close_gates(uuid) is 'Waits for the pages of an agency, or of all, that are being written, and lets no other begin.';
revoke all on function private.close_gates(uuid) from public, anon, authenticated;
grant execute on function private.close_gates(uuid) to service_role;

create or replace function private.fan_key(p_fan_hash text)
returns bigint
language plpgsql
immutable
set search_path = ''
as $$
begin
  return hashtextextended('fanvue-fan ' || p_fan_hash, 0);
end
$$;
comment on function private.fan_key(text) is
  'The key of the lock by which events that name a fan and the erasure of the fan exclude each other. Of the hash: it is all that is left of who is erased.';
revoke all on function private.fan_key(text) from public, anon, authenticated;
grant execute on function private.fan_key(text) to service_role;

create or replace function private.fan_hash(p_fan_uuid text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return encode(sha256(convert_to(lower(p_fan_uuid), 'UTF8')), 'hex');
end
$$;
comment on function private.fan_hash(text) is 'By what an erased fan is known again.';
revoke all on function private.fan_hash(text) from public, anon, authenticated;
grant execute on function private.fan_hash(text) to service_role;

create or replace function private.erased_alias(p_agency_id uuid, p_fan_uuid text)
returns text
language sql
stable
set search_path = ''
as $$
  select e.alias
  from private.erased_fans e
  where e.fan_hash = private.fan_hash(p_fan_uuid) and (e.agency_id = p_agency_id or e.agency_id is null)
  order by e.agency_id is null
  limit 1
$$;
comment on function private.erased_alias(uuid, text) is 'What stands for a fan whom this agency erased; null for everybody else.';
revoke all on function private.erased_alias(uuid, text) from public, anon, authenticated;
grant execute on function private.erased_alias(uuid, text) to service_role;

create or replace function private.has_erased_fans(p_agency_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
-- by the index, however few they were when the plan was made
set enable_seqscan = off
as $$
begin
  return exists (select from private.erased_fans e where e.agency_id = p_agency_id or e.agency_id is null);
end
$$;
comment on function private.has_erased_fans(uuid) is 'Whether any fan is erased for an agency: nearly always nobody is.';
revoke all on function private.has_erased_fans(uuid) from public, anon, authenticated;
grant execute on function private.has_erased_fans(uuid) to service_role;

create or replace function private.hide_erased_fans(p_agency_id uuid, p_rows jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_rows = '[]' or not private.has_erased_fans(p_agency_id) then
    return p_rows;
  end if;
  return (
    select jsonb_agg(case when e.alias is null then r.item
                          else (r.item - '{handle,display_name,fan_handle,registered_at}'::text[])
                               || jsonb_build_object('fan_uuid', e.alias, 'sent_fan', r.item ->> 'fan_uuid') end order by r.ordinality)
    from jsonb_array_elements(p_rows) with ordinality r(item, ordinality)
    left join lateral (select private.erased_alias(p_agency_id, r.item ->> 'fan_uuid') as alias where r.item ->> 'fan_uuid' is not null) e on true);
end
$$;
comment on function private.hide_erased_fans(uuid, jsonb) is
  'A page''s rows with erased fans under their alias and without names. sent_fan, which is never stored: whom Fanvue named, of which the names of rows are made.';
revoke all on function private.hide_erased_fans(uuid, jsonb) from public, anon, authenticated;
grant execute on function private.hide_erased_fans(uuid, jsonb) to service_role;

create or replace function private.scrub_fan(p jsonb, p_fan_uuid text, p_alias text, p_names text[])
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_about boolean;
begin
  case jsonb_typeof(p)
    when 'object' then
      -- of the fan nothing but the alias is left; what else the event tells keeps its shape
      if lower(p ->> 'uuid') in (p_fan_uuid, p_alias) then
        return jsonb_build_object('uuid', p_alias);
      end if;
      v_about := exists (select from jsonb_each_text(p) k where lower(k.value) in (p_fan_uuid, p_alias));
      return coalesce((
        -- a name counts where names stand: a fan may be called as a currency or a kind of sale is
        select jsonb_object_agg(k.key, case when jsonb_typeof(k.value) = 'string' and private.is_name(k.key)
                                              and (v_about and k.key !~* '^name$' or lower(k.value #>> '{}') = any (p_names)) then 'null'::jsonb
                                            else private.scrub_fan(k.value, p_fan_uuid, p_alias, p_names) end)
        from jsonb_each(p) k), '{}'::jsonb);
    when 'array' then
      return coalesce((select jsonb_agg(private.scrub_fan(x.value, p_fan_uuid, p_alias, p_names) order by x.ordinality)
                       from jsonb_array_elements(p) with ordinality x), '[]'::jsonb);
    when 'string' then
      return to_jsonb(regexp_replace(p #>> '{}', p_fan_uuid, p_alias, 'gi'));
    else
      return p;
  end case;
end
$$;
comment on function private.scrub_fan(jsonb, text, text, text[]) is
  'A payload without a fan: the uuid becomes the alias, the fan''s object loses everything else; names become null under the keys of names, and nowhere else.';
revoke all on function private.scrub_fan(jsonb, text, text, text[]) from public, anon, authenticated;
grant execute on function private.scrub_fan(jsonb, text, text, text[]) to service_role;

create or replace function private.without_texts(p_payload jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- what is a list has no such part
  return p_payload #- case when jsonb_typeof(p_payload -> 'data') = 'object' then '{data,text}'::text[] else '{}' end
                   #- case when jsonb_typeof(p_payload -> 'message') = 'object' then '{message,text}'::text[] else '{}' end
                   #- case when jsonb_typeof(p_payload #> '{data,message}') = 'object' then '{data,message,text}'::text[] else '{}' end;
end
$$;
comment on function private.without_texts(jsonb) is 'An event without what a message said.';
revoke all on function private.without_texts(jsonb) from public, anon, authenticated;
grant execute on function private.without_texts(jsonb) to service_role;

create or replace function private.is_name(p_key text)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select p_key ~* '(^name|handle|display_?name|nickname|username)$'
$$;
comment on function private.is_name(text) is 'Whether a name of somebody stands under this key of an event.';
revoke all on function private.is_name(text) from public, anon, authenticated;
grant execute on function private.is_name(text) to service_role;

create or replace function private.without_names(p jsonb)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  -- One pass over the text, whose strings have their quotes escaped, and not a call for each key. The keys are those of private.is_name.
  select regexp_replace(p::text, '("name|handle|display_?name|nickname|username)": "(?:[^"\\]|\\.)*"', '\1": null', 'gi')::jsonb
$$;
comment on function private.without_names(jsonb) is 'An event without anybody''s name: what is stored while nobody can say whether a fan in it is being erased.';
revoke all on function private.without_names(jsonb) from public, anon, authenticated;
grant execute on function private.without_names(jsonb) to service_role;

create or replace function private.essence(p jsonb, p_depth integer default 4)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce((
    select jsonb_object_agg(k.key, case when jsonb_typeof(k.value) = 'object' then private.essence(k.value, p_depth - 1) else k.value end)
    from jsonb_each(p) k
    where jsonb_typeof(k.value) not in ('object', 'array')
       or (jsonb_typeof(k.value) = 'object' and p_depth > 1
           and k.key in ('data', 'creator', 'purchaser', 'payment', 'fan', 'follower', 'sender', 'message'))), '{}'::jsonb);
end
$$;
comment on function private.essence(jsonb, integer) is
  'What private.read_event may read of an event: plain values, and the objects in which it looks. No lists, nothing deep.';
revoke all on function private.essence(jsonb, integer) from public, anon, authenticated;
grant execute on function private.essence(jsonb, integer) to service_role;

create or replace function private.storable(p_payload jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Fanvue's events are a few hundred bytes and four objects deep. To look for fans in a long one takes longer than a call may,
  -- in a deep one more stack than there is.
  return case when octet_length(p_payload::text) > 65536 or jsonb_path_exists(p_payload, 'strict $.**{12}') then private.essence(p_payload) else p_payload end;
end
$$;
comment on function private.storable(jsonb) is 'An event as it is worked on and stored: whole up to 64 kB and twelve levels, of a longer or deeper one its essence.';
revoke all on function private.storable(jsonb) from public, anon, authenticated;
grant execute on function private.storable(jsonb) to service_role;

create or replace function private.uuids_in(p_payload jsonb)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array(select distinct lower(u[1])
               from regexp_matches(p_payload::text, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'gi') u);
end
$$;
comment on function private.uuids_in(jsonb) is 'Every uuid that a payload contains, wherever it stands, in lower case.';
revoke all on function private.uuids_in(jsonb) from public, anon, authenticated;
grant execute on function private.uuids_in(jsonb) to service_role;

create or replace function private.agency_of_event(p_agency_id uuid, p_creator_uuid text, p_payload jsonb)
returns uuid
language sql
stable
set search_path = ''
as $$
  -- what is ignored or parked has no agency, and what is not understood no creator
  select coalesce(p_agency_id,
                  (select m.agency_id from public.models m where m.fanvue_user_uuid = p_creator_uuid),
                  case when p_creator_uuid is null then
                    (select m.agency_id from public.models m where m.fanvue_user_uuid = any (private.uuids_in(p_payload)) order by m.id limit 1) end)
$$;
comment on function private.agency_of_event(uuid, text, jsonb) is 'Whose an event is, understood or not; null when it names none of our creators.';
revoke all on function private.agency_of_event(uuid, text, jsonb) from public, anon, authenticated;
grant execute on function private.agency_of_event(uuid, text, jsonb) to service_role;

create or replace function private.share_fans(p_payload jsonb, p_creator_uuid text)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- every uuid may be one of a fan; tried, not waited for: an erasure may wait for what the caller holds. The empty hash stands for everybody.
  return (
  select pg_try_advisory_xact_lock_shared(private.fan_key(''))
         and coalesce(bool_and(pg_try_advisory_xact_lock_shared(private.fan_key(private.fan_hash(u.uuid)))), true)
  from unnest(private.uuids_in(p_payload)) u(uuid)
  where u.uuid is distinct from p_creator_uuid);
end
$$;
comment on function private.share_fans(jsonb, text) is
  'Keeps everybody whom an event names from being erased until it is stored; false: somebody is being erased just now.';
revoke all on function private.share_fans(jsonb, text) from public, anon, authenticated;
grant execute on function private.share_fans(jsonb, text) to service_role;

create or replace function private.forget_in_event(p_payload jsonb, p_topic text, p_fan_uuid text, p_alias text, p_names text[])
returns jsonb
language sql
immutable
set search_path = ''
as $$
  -- One that was stored whole, whatever its depth, is looked through as a new one is. The number of a subscription leads to one person.
  select private.without_texts(private.scrub_fan(private.storable(p_payload), p_fan_uuid, p_alias, p_names))
         #- case when jsonb_typeof(p_payload -> 'data') is distinct from 'object' then '{}'::text[]
                 when p_topic like '%.subscription.%' then '{data,id}' else '{data,subscription_id}' end
$$;
comment on function private.forget_in_event(jsonb, text, text, text, text[]) is 'An event without a fan, what the fan wrote and the number of the fan''s subscription.';
revoke all on function private.forget_in_event(jsonb, text, text, text, text[]) from public, anon, authenticated;
grant execute on function private.forget_in_event(jsonb, text, text, text, text[]) to service_role;

create or replace function private.alias_in_event(p_agency_id uuid, p_fan_uuid text)
returns text
language sql
stable
set search_path = ''
as $$
  select coalesce(private.erased_alias(p_agency_id, p_fan_uuid),
                  -- Of no agency yet: whose it will be nobody knows, so whoever was erased by one loses the name. The uuid stays,
                  -- by which another agency, which has not erased them, books their money.
                  case when p_agency_id is null and exists (select from private.erased_fans e where e.fan_hash = private.fan_hash(p_fan_uuid))
                       then p_fan_uuid end)
$$;
comment on function private.alias_in_event(uuid, text) is
  'What stands for a fan in an event of an agency, or of none; null: the fan was never erased there.';
revoke all on function private.alias_in_event(uuid, text) from public, anon, authenticated;
grant execute on function private.alias_in_event(uuid, text) to service_role;

create or replace function private.hide_erased_in_event(p_agency_id uuid, p_payload jsonb, p_topic text, p_creator_uuid text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_agency uuid := private.agency_of_event(p_agency_id, p_creator_uuid, p_payload);
  v_payload jsonb := p_payload;
  v_fan record;
begin
  -- whatever the event means, and even if it means nothing: every uuid in it may be one of a fan; the creator is none here
  for v_fan in
    select u.uuid, a.alias
    from unnest(private.uuids_in(p_payload)) u(uuid)
    cross join lateral (select private.alias_in_event(v_agency, u.uuid) as alias offset 0) a
    where u.uuid is distinct from p_creator_uuid and a.alias is not null
  loop
    v_payload := private.forget_in_event(v_payload, p_topic, v_fan.uuid, v_fan.alias, array(
      select lower(k.value)
      from jsonb_path_query(p_payload, 'strict $.**') o(item)
      cross join lateral jsonb_each_text(case when jsonb_typeof(o.item) = 'object' then o.item else '{}' end) k
      where lower(o.item ->> 'uuid') = v_fan.uuid and private.is_name(k.key) and k.value is not null));
  end loop;
  return v_payload;
end
$$;
comment on function private.hide_erased_in_event(uuid, jsonb, text, text) is
  'An event as it may be stored: without every erased fan whom it names, understood or not, and then without text.';
revoke all on function private.hide_erased_in_event(uuid, jsonb, text, text) from public, anon, authenticated;
grant execute on function private.hide_erased_in_event(uuid, jsonb, text, text) to service_role;

create or replace function private.names_of_fan(p_fan_uuid text)
returns table (agency_id uuid, name text, is_handle boolean)
language sql
stable
set search_path = ''
as $$
  select x.agency_id, n.name, n.is_handle
  from (select m.agency_id, f.handle, f.display_name
        from public.models m cross join lateral (select * from public.fanvue_fans y where y.model_id = m.id and y.fan_uuid = p_fan_uuid offset 0) f
        union all
        select m.agency_id, c.handle, c.display_name
        from public.models m cross join lateral (select * from public.fanvue_chats y where y.model_id = m.id and y.fan_uuid = p_fan_uuid offset 0) c
        union all
        select t.agency_id, t.handle, t.display_name from public.fanvue_top_fans t where t.fan_uuid = p_fan_uuid
        union all
        select t.agency_id, t.fan_handle, null from public.fanvue_transactions t where t.fan_uuid = p_fan_uuid) x
  cross join lateral (values (lower(x.handle), true), (lower(x.display_name), false)) n(name, is_handle)
  where n.name <> ''
$$;
comment on function private.names_of_fan(text) is 'Every name under which a fan was ever seen, in lower case, by agency. By indexes.';
revoke all on function private.names_of_fan(text) from public, anon, authenticated;
grant execute on function private.names_of_fan(text) to service_role;

create or replace function private.events_of_fan(p_fan_uuid text, p_agency_id uuid)
returns setof uuid
language sql
stable
set search_path = ''
as $$
  select x.id
  from public.webhook_events x
  where x.payload::text ilike '%' || p_fan_uuid || '%' and x.creator_uuid is distinct from p_fan_uuid
    -- what belongs to nobody yet is nobody's to keep
    and (p_agency_id is null or coalesce(private.agency_of_event(x.agency_id, x.creator_uuid, x.payload), p_agency_id) = p_agency_id)
$$;
comment on function private.events_of_fan(text, uuid) is
  'The events that name a fan, of one agency or all. Reads them from end to end and holds none: whoever applies one holds its model first.';
revoke all on function private.events_of_fan(text, uuid) from public, anon, authenticated;
grant execute on function private.events_of_fan(text, uuid) to service_role;

create or replace function private.erase_fan_events(p_fan_uuid text, p_events uuid[])
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_names text[] := array(select distinct n.name from private.names_of_fan(p_fan_uuid) n);
  v_count integer;
begin
  update public.webhook_events w
  set payload = private.forget_in_event(w.payload, w.topic, p_fan_uuid, a.alias, v_names)
  from (select x.id, private.alias_in_event(private.agency_of_event(x.agency_id, x.creator_uuid, x.payload), p_fan_uuid) as alias
        from public.webhook_events x
        where x.id = any (p_events) and x.payload::text ilike '%' || p_fan_uuid || '%' and x.creator_uuid is distinct from p_fan_uuid
        offset 0) a
  where w.id = a.id and a.alias is not null
    and w.payload <> private.forget_in_event(w.payload, w.topic, p_fan_uuid, a.alias, v_names);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function private.erase_fan_events(text, uuid[]) is
  'The fan in events that were found, once their creators'' models are held. By ids. Before erase_fan_rows: names are looked up there.';
revoke all on function private.erase_fan_events(text, uuid[]) from public, anon, authenticated;
grant execute on function private.erase_fan_events(text, uuid[]) to service_role;

create or replace function private.erase_fan_runs(p_fan_uuid text, p_agency_id uuid)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.sync_runs r
  set error = regexp_replace(r.error::text, p_fan_uuid, private.erased_alias(r.agency_id, p_fan_uuid), 'gi')::jsonb,
      detail = regexp_replace(r.detail::text, p_fan_uuid, private.erased_alias(r.agency_id, p_fan_uuid), 'gi')::jsonb
  where concat(r.error, r.detail) ilike '%' || p_fan_uuid || '%' and (p_agency_id is null or r.agency_id = p_agency_id);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function private.erase_fan_runs(text, uuid) is 'The fan in runs that are over, once the fan is on the list. Reads them from end to end; nobody waits for them.';
revoke all on function private.erase_fan_runs(text, uuid) from public, anon, authenticated;
grant execute on function private.erase_fan_runs(text, uuid) to service_role;

create or replace function private.hold_models_of_fan(p_fan_uuids text[], p_agency_id uuid, p_events uuid[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform from public.models m
  where m.id in (select o.id from unnest(p_fan_uuids) f(uuid) cross join lateral private.models_of_fan(f.uuid, p_agency_id) o(id)
                 union
                 select c.id
                 from public.webhook_events w
                 join public.models c on c.fanvue_user_uuid = w.creator_uuid
                 where w.id = any (p_events))
  order by m.id
  for no key update;
end
$$;
comment on function private.hold_models_of_fan(text[], uuid, uuid[]) is
  'Takes every model that has rows of the fans or is told of in the events, in the order of ids: whoever applies an event takes the model, then the event.';
revoke all on function private.hold_models_of_fan(text[], uuid, uuid[]) from public, anon, authenticated;
grant execute on function private.hold_models_of_fan(text[], uuid, uuid[]) to service_role;

create or replace function private.erase_fan_rows(p_fan_uuid text, p_agency_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_models uuid[] := array(select m.id from public.models m where p_agency_id is null or m.agency_id = p_agency_id);
  v_talked uuid[];
  v_counts jsonb := '{}'::jsonb;
  v_count integer;
begin
  update public.fanvue_transactions t
  set fan_handle = null
  from (select distinct n.agency_id, n.name from private.names_of_fan(p_fan_uuid) n where n.is_handle) n
  where t.agency_id = n.agency_id and lower(t.fan_handle) = n.name and t.fan_uuid is null and t.fan_handle is not null
    and (p_agency_id is null or t.agency_id = p_agency_id);
  update public.fanvue_transactions t
  set fan_uuid = private.erased_alias(t.agency_id, p_fan_uuid), fan_handle = null
  where t.fan_uuid = p_fan_uuid and (p_agency_id is null or t.agency_id = p_agency_id);
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('transactions', v_count);
  update public.fanvue_fans f
  set fan_uuid = private.erased_alias(f.agency_id, p_fan_uuid), handle = null, display_name = null, registered_at = null, subscription_id = null
  where f.model_id = any (v_models) and f.fan_uuid = p_fan_uuid;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('fans', v_count);
  update public.fanvue_messages m
  set fan_uuid = private.erased_alias(m.agency_id, p_fan_uuid), body = null
  where m.model_id = any (v_models) and m.fan_uuid = p_fan_uuid;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('messages', v_count);
  -- a chat is its fan's uuid and names, and is read by it
  with gone as (
    delete from public.fanvue_chats c where c.model_id = any (v_models) and c.fan_uuid = p_fan_uuid returning c.model_id
  )
  select count(*), array_agg(g.model_id) into v_count, v_talked from gone g;
  v_counts := v_counts || jsonb_build_object('chats', v_count);
  update public.fanvue_top_fans t
  set fan_uuid = private.erased_alias(t.agency_id, p_fan_uuid), handle = null, display_name = null
  where t.fan_uuid = p_fan_uuid and (p_agency_id is null or t.agency_id = p_agency_id);
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('top_fans', v_count);
  -- what jobs and walks remember; jobs before states, as a settlement takes them
  update public.sync_jobs j
  set progress = regexp_replace(j.progress::text, p_fan_uuid, private.erased_alias(j.agency_id, p_fan_uuid), 'gi')::jsonb,
      last_error = regexp_replace(j.last_error::text, p_fan_uuid, private.erased_alias(j.agency_id, p_fan_uuid), 'gi')::jsonb
  where concat(j.progress, j.last_error) ilike '%' || p_fan_uuid || '%' and (p_agency_id is null or j.agency_id = p_agency_id);
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('jobs', v_count);
  -- whoever is reading the chat notes whose it is: their next page is refused, and the walk goes on without it
  update public.sync_state s
  set version = s.version + 1, last_page_key = null,
      walk_notes = regexp_replace(s.walk_notes::text, p_fan_uuid, a.alias, 'gi')::jsonb,
      last_page_reply = regexp_replace(s.last_page_reply::text, p_fan_uuid, a.alias, 'gi')::jsonb,
      last_error = regexp_replace(s.last_error::text, p_fan_uuid, a.alias, 'gi')::jsonb
  from (select x.id, private.erased_alias(x.agency_id, p_fan_uuid) as alias
        from public.sync_state x
        where (concat(x.walk_notes, x.last_page_reply, x.last_error) ilike '%' || p_fan_uuid || '%'
               or (x.walk_id is not null and x.sync_type in ('messages', 'message_history') and x.model_id = any (v_talked)))
          and (p_agency_id is null or x.agency_id = p_agency_id) offset 0) a
  where a.id = s.id;
  -- rows that an adoption took out stand there whole
  update private.adoption_findings f
  set before = private.scrub_fan(f.before, p_fan_uuid, private.erased_alias((f.before ->> 'agency_id')::uuid, p_fan_uuid), '{}')
  where lower(f.before ->> 'fan_uuid') = p_fan_uuid and (p_agency_id is null or f.before ->> 'agency_id' = p_agency_id::text);
  return v_counts;
end
$$;
comment on function private.erase_fan_rows(text, uuid) is
  'What ops.erase_fan does to rows that pages and events write, once the fan is on the list and the models that have some are held. By indexes, but for jobs and states. Returns how many of each.';
revoke all on function private.erase_fan_rows(text, uuid) from public, anon, authenticated;
grant execute on function private.erase_fan_rows(text, uuid) to service_role;

create or replace function private.models_of_fan(p_fan_uuid text, p_agency_id uuid)
returns setof uuid
language sql
stable
set search_path = ''
as $$
  select t.model_id from public.fanvue_transactions t where t.fan_uuid = p_fan_uuid and (p_agency_id is null or t.agency_id = p_agency_id)
  union
  select t.model_id from public.fanvue_top_fans t where t.fan_uuid = p_fan_uuid and (p_agency_id is null or t.agency_id = p_agency_id)
  union
  select m.id
  from public.models m
  where (p_agency_id is null or m.agency_id = p_agency_id)
    and (exists (select from public.fanvue_fans f where f.model_id = m.id and f.fan_uuid = p_fan_uuid)
         or exists (select from public.fanvue_messages y where y.model_id = m.id and y.fan_uuid = p_fan_uuid)
         or exists (select from public.fanvue_chats c where c.model_id = m.id and c.fan_uuid = p_fan_uuid))
$$;
comment on function private.models_of_fan(text, uuid) is 'The models that have rows of a fan. By indexes.';
revoke all on function private.models_of_fan(text, uuid) from public, anon, authenticated;
grant execute on function private.models_of_fan(text, uuid) to service_role;

create or replace function ops.erase_fan(p_fan_uuid text, p_agency_id uuid default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_fan text := private.as_uuid(btrim(p_fan_uuid));
  v_new boolean;
  v_events uuid[];
  v_counts jsonb;
  v_rows bigint;
  v_alias text;
begin
  if v_fan is null then
    raise sqlstate 'PT422' using message = 'a fan is named by the uuid', hint = 'look in the column fan_uuid of public.fanvue_fans or public.fanvue_transactions';
  end if;
  if p_agency_id is not null and not exists (select from public.agencies a where a.id = p_agency_id) then
    raise sqlstate 'PT404' using message = format('no agency %s', p_agency_id), hint = 'ops.queue_health lists the agencies; none at all means every agency';
  end if;
  perform private.hold_erasures();
  -- Waits for the events that name the fan and are being stored. Who comes now is stored without a name, and tried again.
  perform pg_advisory_xact_lock(private.fan_key(private.fan_hash(v_fan)));
  insert into private.erased_fans (fan_hash, agency_id, erased_at) values (private.fan_hash(v_fan), p_agency_id, private.engine_now())
  on conflict do nothing;
  v_new := found;
  v_alias := private.erased_alias(p_agency_id, v_fan);
  -- what takes long comes first, while nobody is held; events are read then, and taken after their models
  v_events := array(select private.events_of_fan(v_fan, p_agency_id));
  v_counts := jsonb_build_object('runs', private.erase_fan_runs(v_fan, p_agency_id));
  perform private.close_gates(p_agency_id);
  perform private.hold_models_of_fan(array[v_fan], p_agency_id, v_events);
  v_counts := v_counts || jsonb_build_object('webhook_events', private.erase_fan_events(v_fan, v_events));
  v_counts := private.erase_fan_rows(v_fan, p_agency_id) || v_counts;
  select sum(k.value::bigint) into v_rows from jsonb_each_text(v_counts) k;
  if v_rows = 0 and not v_new then
    return jsonb_build_object('changed', false, 'message', 'nothing to do: this fan is erased already, and nothing came since', 'alias', v_alias);
  end if;
  if v_rows = 0 then
    raise sqlstate 'PT404' using message = 'nothing is stored of this fan' || case when p_agency_id is null then '' else ' by this agency' end,
      hint = 'check the uuid; without an agency all of them are searched';
  end if;
  perform private.note_action('erase_fan', 'fan ' || v_alias, jsonb_build_object('alias', v_alias, 'agency_id', p_agency_id), v_counts);
  return jsonb_build_object('changed', true, 'message', format('%s rows no longer name the fan; amounts and totals are as they were', v_rows), 'alias', v_alias, 'rows', v_counts);
end
$$;
comment on function ops.erase_fan(text, uuid) is
  'Erases a fan''s personal data, of one agency or of all: names, handles, message texts, chats, what webhooks and errors said. The uuid becomes an alias; money and totals stay to the cent. '
  'Later syncs and webhooks store the alias. Subscription numbers go, too. Reads events and runs once from end to end while everybody works; pages of the agency wait for moments. Safe to repeat.';
revoke all on function ops.erase_fan(text, uuid) from public, anon, authenticated;
grant execute on function ops.erase_fan(text, uuid) to service_role;
