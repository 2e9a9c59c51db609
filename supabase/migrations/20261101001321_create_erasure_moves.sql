-- Purpose: a model that goes to another agency takes along which of its fans were erased, and obeys what that agency erased.
-- Otherwise the next page would name a fan again whom the ledger knows by the alias, and book the money a second time.
-- Who may call: triggers on public.models.
-- Locks: the lock of erasures before the model; then the gate of the new agency's pages; the fans whom that agency may be about to
-- forget, so that no event escapes which names one and is being stored; and its other models that name a fan who is forgotten there now, and their events.
-- Pages pass their agency's gate before they take the model: a transaction that holds a creator who left an agency must not close its gate.
-- Who holds a fan and waits for the model waits for two seconds at most, and began before this waits for the fan: it gives way.

create or replace function private.fans_named(p_agency_id uuid)
returns table (model_id uuid, fan_uuid text)
language sql
stable
set search_path = ''
as $$
  select t.model_id, t.fan_uuid from public.fanvue_transactions t where t.agency_id = p_agency_id and t.fan_uuid is not null
  union
  select f.model_id, f.fan_uuid from public.fanvue_fans f where f.agency_id = p_agency_id
  union
  select m.model_id, m.fan_uuid from public.fanvue_messages m where m.agency_id = p_agency_id and m.fan_uuid is not null
  union
  select c.model_id, c.fan_uuid from public.fanvue_chats c where c.agency_id = p_agency_id
  union
  select t.model_id, t.fan_uuid from public.fanvue_top_fans t where t.agency_id = p_agency_id
$$;
comment on function private.fans_named(uuid) is 'Which of an agency''s models have rows of which fans; erased ones under their alias. Reads all of the agency''s rows.';
revoke all on function private.fans_named(uuid) from public, anon, authenticated;
grant execute on function private.fans_named(uuid) to service_role;

create or replace function private.hold_erasures_to_move()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.hold_erasures();
  return null;
end
$$;
comment on function private.hold_erasures_to_move() is 'Before a model is taken to be moved: no fan is erased meanwhile.';
revoke all on function private.hold_erasures_to_move() from public, anon, authenticated;
create trigger models_hold_erasures
  before update of agency_id on public.models
  for each statement execute function private.hold_erasures_to_move();

create or replace function private.move_erasures()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_most constant integer := 200;
  v_hashes text[];
  v_fans text[];
  v_events uuid[];
  v_fan text;
begin
  if not exists (select from private.erased_fans e where e.agency_id in (old.agency_id, new.agency_id)) then
    return null;
  end if;
  if position(new.agency_id::text in current_setting('fanvue.left_agencies', true)) > 0 then
    raise sqlstate 'PT409' using message = format('creators leave and enter agency %s in one transaction', new.agency_id),
      hint = 'move them one after the other, each in a transaction of its own';
  end if;
  -- what is being written by pages and events of the new agency is seen from here on
  perform private.close_gates(new.agency_id);
  select array_agg(e.fan_hash order by e.fan_hash) into v_hashes
  from private.erased_fans e
  where e.agency_id = old.agency_id
    and not exists (select from private.erased_fans k where k.agency_id = new.agency_id and k.fan_hash = e.fan_hash);
  -- the lock table is everybody's: beyond so many, one lock stands for all fans
  perform pg_advisory_xact_lock(private.fan_key(h.fan_hash))
  from unnest(case when cardinality(v_hashes) > v_most then array[''] else v_hashes end) h(fan_hash);
  -- the model's, and whom the new agency does not know otherwise: it keeps its own fans who have nothing with the model
  insert into private.erased_fans (fan_hash, agency_id, erased_at)
  select e.fan_hash, new.agency_id, e.erased_at
  from private.erased_fans e
  where e.agency_id = old.agency_id
    and (e.alias in (select n.fan_uuid from private.fans_named(new.agency_id) n where n.model_id = new.id)
         or e.fan_hash not in (select private.fan_hash(n.fan_uuid) from private.fans_named(new.agency_id) n where n.model_id <> new.id))
  order by e.fan_hash
  on conflict do nothing;
  select array_agg(distinct lower(n.fan_uuid)) into v_fans
  from (select k.fan_uuid from private.fans_named(new.agency_id) k
        union
        -- what could not be booked has no row
        select u.uuid
        from public.webhook_events w
        cross join unnest(private.uuids_in(w.payload)) u(uuid)
        where w.agency_id = new.agency_id and w.status = 'failed') n(fan_uuid)
  where private.fan_hash(n.fan_uuid) in (select e.fan_hash from private.erased_fans e where e.agency_id = new.agency_id);
  if v_fans is null then
    return null;
  end if;
  v_events := array(select distinct e.id from unnest(v_fans) f(uuid) cross join lateral private.events_of_fan(f.uuid, new.agency_id) e(id));
  perform private.hold_models_of_fan(v_fans, new.agency_id, v_events);
  foreach v_fan in array v_fans loop
    perform private.erase_fan_events(v_fan, v_events);
    perform private.erase_fan_runs(v_fan, new.agency_id);
    perform private.erase_fan_rows(v_fan, new.agency_id);
  end loop;
  return null;
end
$$;
comment on function private.move_erasures() is
  'After a model''s rows have followed it: its erased fans are erased at the new agency too, and that one''s erased fans with it.';
revoke all on function private.move_erasures() from public, anon, authenticated;
-- after models_follow_agency, by name
create trigger models_move_erasures
  after update of agency_id on public.models
  for each row when (new.agency_id is distinct from old.agency_id)
  execute function private.move_erasures();
