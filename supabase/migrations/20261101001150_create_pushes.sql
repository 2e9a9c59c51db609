-- Purpose: pushes: what a transaction changed is noted while it runs and told once, when it commits, to whoever watches.
-- One message per commit and topic. Hints are never the truth: realtime.send swallows its errors, and clients refetch when they subscribe.
-- Who may call: triggers only.
-- Locks: none on other tables.

create unlogged table private.pushes (
  xid xid8 not null default pg_current_xact_id(),
  topic text not null,
  kind text not null,
  key text not null,
  item jsonb not null,
  primary key (xid, topic, kind, key)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
comment on table private.pushes is
  'What transactions under way will tell when they commit: one row per thing that changed, gone with the commit. Unlogged: a lost hint costs freshness, never truth.';
comment on column private.pushes.xid is 'The transaction.';
comment on column private.pushes.topic is 'The Realtime topic that hears of it: agency:<agency id>, or workers.';
comment on column private.pushes.kind is 'model, transactions, job, sync_state or due.';
comment on column private.pushes.key is 'What changed within its kind; * stands for more than are worth naming.';
comment on column private.pushes.item is 'What is told of it.';
revoke all on private.pushes from public, anon, authenticated;

create or replace function private.send_push()
returns trigger
language plpgsql
security definer
set search_path = ''
-- a hint waits for nobody who holds Realtime's table: whoever commits holds rows of money
set lock_timeout = '250ms'
-- planned once a session, for the key
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  v_push record;
begin
  -- The first row of a topic to get here takes all of them along; the others look for themselves alone and are gone.
  if not exists (select from private.pushes p
                 where p.xid = new.xid and p.topic = new.topic and p.kind = new.kind and p.key = new.key) then
    return null;
  end if;
  -- within, for those alone that have something to send: each such block is a transaction of its own
  begin
    with taken as (
      delete from private.pushes p where p.xid = new.xid and p.topic = new.topic returning p.kind, p.key, p.item
    ), noted as (
      select t.kind, t.key, t.item, array_position(array['model', 'transactions', 'job', 'sync_state', 'due'], t.kind) as place
      from taken t
    ), told as (
      -- the most telling kind names the message; its items are the message's
      select n.* from noted n where n.place = (select min(f.place) from noted f)
    ), listed as (
      select min(t.kind) as event, count(*) as items, bool_or(t.key = '*') or count(*) > 50 as is_many,
             jsonb_agg(t.item order by t.key) as all_items,
             (select jsonb_agg(k.kind order by k.place) from (select distinct c.kind, c.place from noted c) k) as changed
      from told t
    )
    select l.event,
           jsonb_build_object('changed', l.changed)
           || case when l.is_many then jsonb_build_object('items', '[]'::jsonb, 'many', true)
                   when l.items > 1 then jsonb_build_object('items', l.all_items)
                   else l.all_items -> 0 end
           || case when l.event = 'transactions' and l.items = 1 and not l.is_many
                   then coalesce((select jsonb_build_object('job', j.item - 'model_id') from noted j
                                  where j.kind = 'job' and j.item -> 'model_id' = l.all_items -> 0 -> 'model_id'
                                  order by j.key limit 1), '{}'::jsonb)
                   else '{}'::jsonb end as payload
    into v_push
    from listed l;
    if v_push.event is null or to_regprocedure('realtime.send(jsonb, text, text, boolean)') is null then
      return null;
    end if;
    -- planned once a session; a database without Realtime never gets here
    perform realtime.send(v_push.payload, v_push.event, new.topic, true);
  exception when others then
    -- what cannot be told must not undo what was done
    raise warning 'a push to % was not sent: %', new.topic, sqlerrm;
  end;
  return null;
end
$$;
comment on function private.send_push() is
  'Sends what a transaction noted for one topic, as the last thing it does: the item of the most telling kind itself, or {items} when there are several, '
  'or {many} beyond fifty. changed names every kind; a page of money carries the progress of its job.';
revoke all on function private.send_push() from public, anon, authenticated;
create constraint trigger pushes_send
  after insert on private.pushes
  deferrable initially deferred
  for each row execute function private.send_push();

create or replace function private.note_push(p_topic text, p_kind text, p_key text, p_item jsonb)
returns void
language sql
set search_path = ''
as $$
  insert into private.pushes as p (topic, kind, key, item)
  values (p_topic, p_kind, p_key, p_item)
  on conflict (xid, topic, kind, key) do update set item = p.item || excluded.item
$$;
comment on function private.note_push(text, text, text, jsonb) is 'Notes one thing that changed; noted again in one transaction, the last word on each field counts.';
revoke all on function private.note_push(text, text, text, jsonb) from public, anon, authenticated;

create or replace function private.note_pushes(p_kind text, p_changes jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  -- more than this is no hint any more: the client is told to look for itself
  v_most constant integer := 50;
begin
  insert into private.pushes as p (topic, kind, key, item)
  select 'agency:' || c.agency_id, p_kind, case when c.nth > v_most then '*' else c.key end,
         case when c.nth > v_most then '{}'::jsonb else c.item end
  from (
    select x.value ->> 'agency_id' as agency_id, x.value ->> 'key' as key, x.value -> 'item' as item,
           row_number() over (partition by x.value ->> 'agency_id') as nth
    from jsonb_array_elements(p_changes) x
  ) c
  -- one too many says it
  where c.nth <= v_most + 1
  on conflict (xid, topic, kind, key) do update set item = p.item || excluded.item;
end
$$;
comment on function private.note_pushes(text, jsonb) is 'Notes what a statement changed, [{agency_id, key, item}], each for its agency.';
revoke all on function private.note_pushes(text, jsonb) from public, anon, authenticated;

create or replace function private.note_due(p_jobs bigint)
returns void
-- plpgsql: planned once a session; nearly every event and tick tells of work
language plpgsql
security definer
set search_path = ''
as $$
begin
  if p_jobs > 0 then
    insert into private.pushes as p (topic, kind, key, item)
    values ('workers', 'due', '', jsonb_build_object('jobs', p_jobs))
    on conflict (xid, topic, kind, key) do update
      set item = jsonb_build_object('jobs', (p.item ->> 'jobs')::bigint + (excluded.item ->> 'jobs')::bigint);
  end if;
end
$$;
comment on function private.note_due(bigint) is 'Tells the workers'' topic, once a transaction, how many jobs became due; of none nothing.';
revoke all on function private.note_due(bigint) from public, anon, authenticated;
grant execute on function private.note_due(bigint) to service_role;
