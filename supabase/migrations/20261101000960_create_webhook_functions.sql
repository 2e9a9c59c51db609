-- Purpose: a signed event is applied and stored before it is acknowledged; what applying does never keeps it from being stored.
-- Who may call: receive_webhook_event service_role (the Edge Function), retry_webhook_events the worker; ops.replay_webhook operators.
-- An event that cannot be applied is kept as failed and never blocks another; where that is not its own fault, it is tried again.
-- Lock order: the creator's advisory lock, the fans (tried, never waited for), the model, the event's row.

create or replace function private.is_placeholder(p_uuid text)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- the first twelve digits alike, or counting up: of a random uuid once in 10^13
  return coalesce(p_uuid ~ '^(([0-9a-f])\2{7}-\2{4}|12345678-1234)-', false);
end
$$;
comment on function private.is_placeholder(text) is 'Whether a uuid (in lower case) is nobody''s, as those of test deliveries are. Names are no sign: a fan may be called "Test User".';
revoke all on function private.is_placeholder(text) from public, anon, authenticated;
grant execute on function private.is_placeholder(text) to service_role;

create or replace function private.is_test_delivery(e private.webhook_facts)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return private.is_placeholder(e.creator_uuid) or private.is_placeholder(e.fan ->> 'uuid');
end
$$;
comment on function private.is_test_delivery(private.webhook_facts) is
  'Whether an event was sent by the Test button of Fanvue''s dashboard: the creator or the fan is a placeholder.';
revoke all on function private.is_test_delivery(private.webhook_facts) from public, anon, authenticated;
grant execute on function private.is_test_delivery(private.webhook_facts) to service_role;

create or replace function private.pull_forward(p_model_id uuid, p_sync_type text, p_now timestamptz, p_cause text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_model public.models;
  v_state public.sync_state;
  v_priority smallint;
begin
  select s.* into v_state from public.sync_state s where s.model_id = p_model_id and s.sync_type = p_sync_type;
  select m.* into v_model from public.models m where m.id = p_model_id and m.status = 'active';
  -- while history is read the next job is a part of that: an event does not make it live work
  select private.priority_now(v_state, t.priority, p_now) into v_priority
  from private.stream_settings(v_model.agency_id, v_model.id, p_sync_type) t
  where t.enabled;
  if v_state.id is null or v_priority is null or v_model.id is null then
    return;
  end if;
  -- At most once a minute: a burst of events is confirmed by one poll.
  perform private.put_job(v_model, p_sync_type, v_priority,
                          greatest(p_now, coalesce(v_state.last_sync_at, '-infinity') + interval '1 minute'), p_now, p_cause);
  perform private.wake_stream(p_model_id, p_sync_type, p_now);
end
$$;
comment on function private.pull_forward(uuid, text, timestamptz, text) is
  'Brings a stream''s next poll forward, to a minute after its last one at the earliest. Repeated, it writes nothing.';
revoke all on function private.pull_forward(uuid, text, timestamptz, text) from public, anon, authenticated;
grant execute on function private.pull_forward(uuid, text, timestamptz, text) to service_role;

create or replace function private.rows_of_payment(p_model_id uuid, p_payment_id text, p_but_event uuid)
returns setof public.fanvue_transactions
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Two probes, not one condition with "or": that would read all the model's rows. Each in a form that the index of number and
  -- model alone can answer, whatever the statistics say; and each event's row is fetched by its key.
  return query
  select t.*
  from (select x.* from public.fanvue_transactions x
        where (x.fanvue_id, x.model_id) >= (p_payment_id, p_model_id) order by x.fanvue_id, x.model_id limit 1) t
  where t.fanvue_id = p_payment_id and t.model_id = p_model_id
  union
  select t.*
  from public.webhook_events w
  cross join lateral (select x.* from public.fanvue_transactions x where x.id = w.transaction_id offset 0) t
  where w.payment_id = p_payment_id and w.model_id::text = p_model_id::text
    and w.id <> p_but_event and t.model_id = p_model_id;
end
$$;
comment on function private.rows_of_payment(uuid, text, uuid) is
  'The ledger rows that bear this number, or that an event (but this one) announced under it.';
revoke all on function private.rows_of_payment(uuid, text, uuid) from public, anon, authenticated;
grant execute on function private.rows_of_payment(uuid, text, uuid) to service_role;

create or replace function private.apply_money(
  p_event public.webhook_events, e private.webhook_facts, p_model public.models, p_now timestamptz, out status text, out transaction_id uuid)
language plpgsql
set search_path = ''
as $$
declare
  v_tolerance constant interval := interval '5 minutes';
  v_reversal boolean;
  v_category text;
  v_amount numeric(14, 2);
  v_net numeric(14, 2);
  v_foreign boolean;
  v_row public.fanvue_transactions;
  v_sale public.fanvue_transactions;
  v_name text;
begin
  v_reversal := e.kind in ('refund', 'dispute');
  v_category := case e.kind
    when 'refund' then 'refund' when 'dispute' then 'chargeback'
    else coalesce(lower(regexp_replace(e.source, '(?<=[a-z0-9])(?=[A-Z])', '_', 'g')), 'unknown') end;
  if e.happened_at is null then
    raise exception 'the event has no time';
  end if;
  perform private.require_moment(e.happened_at, p_now);
  if e.amount_fault is not null then
    raise exception '%', e.amount_fault;
  end if;

  if v_reversal and e.reverses_payment_id is not null then
    -- the sale it reverses: by its id, or by the event that announced it
    select t.* into v_sale
    from private.rows_of_payment(p_model.id, e.reverses_payment_id, p_event.id) t
    order by t.fanvue_id = e.reverses_payment_id desc
    limit 1;
  end if;
  if e.minor_units is null and v_sale.id is null then
    -- failed, not applied: what is not in the books must not look as if it were
    raise exception using message = case when v_reversal then 'the amount is missing, and the sale it reverses is not known' else 'the amount is missing' end;
  end if;
  if e.minor_units is null and v_sale.sent_minor_units is not null then
    -- all of a sale that was announced in another currency
    e.minor_units := v_sale.sent_minor_units;
    e.currency := v_sale.sent_currency;
  end if;
  v_foreign := e.minor_units is not null and coalesce(e.currency, 'USD') <> 'USD';
  v_amount := case
    when v_foreign then 0
    when e.minor_units is not null then (e.minor_units / 100.0) * case when v_reversal then -1 else 1 end
    else -v_sale.amount end;
  v_net := case when v_foreign then 0 when e.net_minor_units is not null then e.net_minor_units / 100.0 * case when v_reversal then -1 else 1 end
                when v_reversal and v_sale.amount = -v_amount then -v_sale.net_amount end;

  -- 1. the same payment under the same number, from another event or from the API
  select t.* into v_row
  from private.rows_of_payment(p_model.id, e.payment_id, p_event.id) t
  where (coalesce(t.category, '') in ('refund', 'chargeback')) = v_reversal
  limit 1;
  -- 2. same fan, same money, same content, about the same time: a row of the API, or what an event of another family
  --    announced; one row is claimed by one event of a family
  if v_row.id is null then
    select t.* into v_row
    -- Two probes, however old the sale is: what stands about that time, and what reverses the same sale. A dispute may be
    -- booked days after it began.
    from ((select x.* from public.fanvue_transactions x
           where x.model_id = p_model.id and x.fanvue_created_at between e.happened_at - v_tolerance and e.happened_at + v_tolerance
           -- in the order of the one index that can answer, whatever the statistics say
           order by x.fanvue_created_at desc)
          union
          select r.*
          -- as the index has it, and the time outside, so that it alone can answer
          from (select x.* from public.fanvue_transactions x
                where x.reverses_fanvue_id = v_sale.fanvue_id and x.model_id::text = p_model.id::text and x.category = v_category offset 0) r
          where r.fanvue_created_at >= least(e.happened_at - v_tolerance, v_sale.fanvue_created_at)) t
    where (t.origin = 'api' or t.category = v_category)
      and (coalesce(t.category, '') in ('refund', 'chargeback')) = v_reversal
      and (t.fan_uuid = e.fan ->> 'uuid' or t.fan_uuid is null or e.fan ->> 'uuid' is null)
      and (t.message_uuid = e.message_uuid or t.message_uuid is null or e.message_uuid is null)
      and (t.post_uuid = e.post_uuid or t.post_uuid is null or e.post_uuid is null)
      and case when v_foreign then coalesce(t.currency = e.currency, true)
                                   and coalesce(t.sent_minor_units = e.minor_units, true)
               -- flat bodies do not say in which currency they speak
               when e.currency is null and coalesce(t.sent_currency, t.currency) <> 'USD' then true
               else private.same_money(t.amount, t.net_amount, v_amount, v_net, v_reversal) end
      and not exists (select from public.webhook_events w
                      where w.transaction_id = t.id and w.id <> p_event.id
                        and split_part(w.topic, '.', 1) = split_part(p_event.topic, '.', 1) offset 0)
    order by (t.message_uuid is distinct from e.message_uuid)::integer + (t.post_uuid is distinct from e.post_uuid)::integer
               + (t.category is distinct from v_category)::integer + (t.amount <> v_amount)::integer,
             abs(extract(epoch from t.fanvue_created_at - e.happened_at))
    limit 1;
  end if;
  if v_row.id is not null then
    if v_foreign and v_row.origin = 'webhook' and v_row.currency is null then
      -- what a flat body announced was no dollars
      update public.fanvue_transactions t
      set amount = 0, net_amount = 0, currency = e.currency, sent_minor_units = e.minor_units, sent_currency = e.currency
      where t.id = v_row.id;
    end if;
    status := 'duplicate_of_api';
    transaction_id := v_row.id;
    return;
  end if;

  -- 3. news: a provisional row, which becomes the API's row when that arrives
  -- a reversal may bear its sale's number, and there may be several of a sale; events are told apart by creator, as rows are
  select n.name into v_name
  from unnest(array[e.payment_id, e.payment_id || ':' || v_category, 'w:' || p_event.event_id]) with ordinality n(name, place)
  where n.name is not null
    and not exists (select
                    from (select x.fanvue_id, x.model_id from public.fanvue_transactions x
                          where (x.fanvue_id, x.model_id) >= (n.name, p_model.id) order by x.fanvue_id, x.model_id limit 1) t
                    where t.fanvue_id = n.name and t.model_id = p_model.id)
  order by n.place
  limit 1;
  insert into public.fanvue_transactions as t (
    agency_id, model_id, fanvue_id, amount, net_amount, currency, sent_minor_units, sent_currency, source, category, status,
    fan_uuid, fan_handle, message_uuid, post_uuid, reverses_fanvue_id, origin, fanvue_created_at, synced_at, created_at)
  values (
    p_model.agency_id, p_model.id, v_name, v_amount, v_net, e.currency,
    case when v_foreign then e.minor_units end, case when v_foreign then e.currency end,
    coalesce(e.source, v_category), v_category, 'pending', e.fan ->> 'uuid', e.fan ->> 'handle', e.message_uuid, e.post_uuid,
    case when v_reversal then coalesce(v_sale.fanvue_id, e.reverses_payment_id) end,
    'webhook', e.happened_at, p_now, p_now)
  returning t.id into transaction_id;
  status := 'applied';
end
$$;
comment on function private.apply_money(public.webhook_events, private.webhook_facts, public.models, timestamptz) is
  'Books a payment, refund or dispute once, under the model''s lock: matched to a row that is there, or as a provisional row. applied or duplicate_of_api, and the row.';
revoke all on function private.apply_money(public.webhook_events, private.webhook_facts, public.models, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_money(public.webhook_events, private.webhook_facts, public.models, timestamptz) to service_role;

create or replace function private.keeps_text(p_model public.models)
returns boolean
language sql
stable
set search_path = ''
as $$
  select coalesce((select t.keep_text from private.stream_settings(p_model.agency_id, p_model.id, 'messages') t), true)
$$;
comment on function private.keeps_text(public.models) is 'Whether the texts of this model''s messages may be stored.';
revoke all on function private.keeps_text(public.models) from public, anon, authenticated;
grant execute on function private.keeps_text(public.models) to service_role;

create or replace function private.apply_to_model(
  p_event public.webhook_events, e private.webhook_facts, p_text text, p_model public.models, p_now timestamptz, out status text, out transaction_id uuid)
language plpgsql
set search_path = ''
as $$
begin
  if e.kind in ('payment', 'refund', 'dispute') then
    select a.status, a.transaction_id into status, transaction_id from private.apply_money(p_event, e, p_model, p_now) a;
    if p_event.topic = 'legacy.subscriber.new' then
      perform private.apply_audience(p_event, e, null, p_model, p_now);
    end if;
    perform private.note_announced(p_model.id, p_event.topic, p_now);
  else
    status := private.apply_audience(p_event, e, p_text, p_model, p_now);
  end if;
  if status = 'applied' then
    perform private.confirm_by_poll(p_event, e.kind, p_now);
  end if;
end
$$;
comment on function private.apply_to_model(public.webhook_events, private.webhook_facts, text, public.models, timestamptz) is
  'Books what an event says of a creator, under the model''s lock.';
revoke all on function private.apply_to_model(public.webhook_events, private.webhook_facts, text, public.models, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_to_model(public.webhook_events, private.webhook_facts, text, public.models, timestamptz) to service_role;

create or replace function private.stream_of_event(p_kind text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when p_kind in ('payment', 'refund', 'dispute') then 'earnings'
    when p_kind in ('subscribed', 'unsubscribed', 'renewal') then 'subscribers'
    when p_kind = 'follow' then 'followers'
    when p_kind in ('message', 'read', 'deleted') then 'messages' end;
end
$$;
comment on function private.stream_of_event(text) is 'The stream whose poll confirms an event of this kind; null: none does.';
revoke all on function private.stream_of_event(text) from public, anon, authenticated;
grant execute on function private.stream_of_event(text) to service_role;

create or replace function private.confirm_by_poll(p_event public.webhook_events, p_kind text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_stream constant text := private.stream_of_event(p_kind);
begin
  if v_stream is null then
    raise exception 'no stream is named for events of kind %', p_kind;
  end if;
  perform private.pull_forward(p_event.model_id, v_stream, p_now, 'webhook ' || p_event.event_id);
end
$$;
comment on function private.confirm_by_poll(public.webhook_events, text, timestamptz) is 'Brings the stream forward that an event is about.';
revoke all on function private.confirm_by_poll(public.webhook_events, text, timestamptz) from public, anon, authenticated;
grant execute on function private.confirm_by_poll(public.webhook_events, text, timestamptz) to service_role;

create or replace function private.fail_event(p_event public.webhook_events, p_sqlstate text, p_reason text, p_now timestamptz)
returns public.webhook_events
language plpgsql
set search_path = ''
as $$
begin
  p_event.status := 'failed';
  p_event.error := p_reason;
  if left(p_sqlstate, 2) in ('40', '42', '53', '54', '55', '57', '58', 'XX') then
    -- Not the event's fault: a lock, a time-out, a dead lock, a full disk, a stack too small, a migration under way. The next tick, then after 1, 3, 7 minutes, at last hourly.
    p_event.error := format('not applied in time (%s); the worker tries it again', p_reason);
    p_event.retry_at := p_now + make_interval(mins => least(60, power(2, least(p_event.attempts, 7) - 1)::integer - 1));
  end if;
  return p_event;
end
$$;
comment on function private.fail_event(public.webhook_events, text, text, timestamptz) is
  'An event that could not be applied: failed with its reason, and tried again by the worker where the reason is not the event''s own.';
revoke all on function private.fail_event(public.webhook_events, text, text, timestamptz) from public, anon, authenticated;
grant execute on function private.fail_event(public.webhook_events, text, text, timestamptz) to service_role;

create or replace function private.apply_event(p_event public.webhook_events, e private.webhook_facts, p_is_new boolean, p_now timestamptz)
returns public.webhook_events
language plpgsql
set search_path = ''
-- Planned once a session, to probe indexes row by row, whatever the statistics say: planning anew at each event cost more than
-- all else. No other kind of plan may be made: one from when the ledger was short would read all of a model.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = off
-- no wait for a lock is longer; whatever it raises is caught here
set lock_timeout = '2s'
as $$
declare
  v public.webhook_events := p_event;
  v_model public.models;
  v_text text := coalesce(e.data ->> 'text', p_event.payload #>> '{message,text}');
  v_hidden jsonb;
  v_most constant integer := 200;
begin
  v.attempts := v.attempts + 1;
  v.retry_at := null;
  v.error := null;
  -- The message's row keeps the text, as long as it may. In the event it would outlive a deletion.
  v.payload := private.without_texts(v.payload);
  begin
    if cardinality(private.uuids_in(v.payload)) > v_most then
      -- nothing that Fanvue sends: a lock for each would leave others none
      v.payload := private.without_names(v.payload);
    elsif not private.share_fans(v.payload, e.creator_uuid) then
      -- nobody can say yet under which name the fan may be stored
      v.payload := private.without_names(v.payload);
      return private.fail_event(v, '55P03', 'a fan whom it names is being erased', p_now);
    end if;
    -- held, so that the event lands in the agency that the creator is in when it is committed
    select m.* into v_model from public.models m where m.fanvue_user_uuid = e.creator_uuid for no key update;
    if p_is_new and exists (select from public.webhook_events w
                            where w.event_id = v.event_id and w.creator_uuid is not distinct from v.creator_uuid) then
      return null;
    end if;
    if exists (select from private.erased_fans) then
      v_hidden := private.hide_erased_in_event(v_model.agency_id, v.payload, v.topic, e.creator_uuid);
      if v_hidden <> v.payload then
        v.payload := v_hidden;
        v_text := null;
        select r.* into e from private.read_event(v_hidden, v.topic) r;
        e.event_id := v.event_id;
      end if;
    end if;
  exception when others or query_canceled then
    if sqlstate = '57014' and not p_is_new then
      raise;
    end if;
    -- whatever was too long or too deep to look through is not kept
    v.payload := private.without_names(private.essence(v.payload));
    return private.fail_event(v, sqlstate, sqlerrm, p_now);
  end;
  if e.kind is null or (e.creator_uuid is null and v.topic like 'app.%') then
    -- no meaning for us; sales of the app itself are no creator's
    v.status := 'ignored';
  elsif private.is_test_delivery(e) then
    -- its creator never connects, its sale never was; should one be real, polls find it
    v.status := 'ignored';
    v.error := 'a test delivery: its users are placeholders';
  elsif e.creator_uuid is null then
    -- it says something of somebody, and nobody will connect as that: only a person can tell whose it is
    v.status := 'failed';
    v.error := 'the event names no creator';
  elsif v_model.id is null then
    v.status := 'parked';
  else
    v.model_id := v_model.id;
    v.agency_id := v_model.agency_id;
    begin
      select a.status, a.transaction_id into v.status, v.transaction_id from private.apply_to_model(v, e, v_text, v_model, p_now) a;
      v.applied_at := p_now;
      v.error := case when e.kind in ('payment', 'refund', 'dispute') then e.detail_fault end;
    -- a cancelled statement, too: neither a time-out nor a person who cancels undoes that the event is stored
    exception when others or query_canceled then
      if sqlstate = '57014' and not p_is_new then
        -- it is stored: who cancels is obeyed
        raise;
      end if;
      v := private.fail_event(v, sqlstate, sqlerrm, p_now);
    end;
    if v.status = 'failed' and e.kind in ('payment', 'refund', 'dispute') then
      begin
        -- what an event says of money and cannot be booked, the list may tell
        perform private.confirm_by_poll(v, e.kind, p_now);
      exception when others or query_canceled then
        if sqlstate = '57014' and not p_is_new then
          raise;
        end if;
        v.error := format('%s; the poll that may tell was not brought forward: %s', v.error, sqlerrm);
      end;
    end if;
  end if;
  return v;
end
$$;
comment on function private.apply_event(public.webhook_events, private.webhook_facts, boolean, timestamptz) is
  'Applies an event that was read, and returns its row as it is to be stored; null: a new one that is stored already. Raises nothing that applying raised; of a stored one, that it was cancelled.';
revoke all on function private.apply_event(public.webhook_events, private.webhook_facts, boolean, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_event(public.webhook_events, private.webhook_facts, boolean, timestamptz) to service_role;

create or replace function private.apply_stored_event(p_event public.webhook_events, p_now timestamptz)
returns public.webhook_events
language plpgsql
set search_path = ''
set enable_seqscan = off
as $$
declare
  e private.webhook_facts;
  v public.webhook_events;
begin
  select r.* into e from private.read_event(p_event.payload, p_event.topic) r;
  -- names of rows are made of it, and what is stored of the event may be less than what came
  e.event_id := p_event.event_id;
  v := private.apply_event(p_event, e, false, p_now);
  update public.webhook_events w
  set status = v.status, error = v.error, payload = v.payload, model_id = v.model_id, agency_id = v.agency_id,
      transaction_id = v.transaction_id, applied_at = v.applied_at, attempts = v.attempts, retry_at = v.retry_at
  where w.id = p_event.id;
  return v;
end
$$;
comment on function private.apply_stored_event(public.webhook_events, timestamptz) is 'Applies an event that is stored, and notes what became of it. The caller holds its row.';
revoke all on function private.apply_stored_event(public.webhook_events, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_stored_event(public.webhook_events, timestamptz) to service_role;

create or replace function private.try_stored_event(p_event public.webhook_events, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
begin
  return (private.apply_stored_event(p_event, p_now)).status;
exception when query_canceled then
  -- noted, so that it is not the first of all again, and not for ever
  p_event.attempts := p_event.attempts + 1;
  p_event := private.fail_event(p_event, sqlstate, sqlerrm, p_now);
  update public.webhook_events w
  set status = p_event.status, error = p_event.error, attempts = p_event.attempts, retry_at = p_event.retry_at
  where w.id = p_event.id;
  return 'cancelled';
end
$$;
comment on function private.try_stored_event(public.webhook_events, timestamptz) is
  'Applies a stored event for those whom no event may stop, and returns what became of it; cancelled: it is failed, will be tried again, and the caller ends its round.';
revoke all on function private.try_stored_event(public.webhook_events, timestamptz) from public, anon, authenticated;
grant execute on function private.try_stored_event(public.webhook_events, timestamptz) to service_role;

create or replace function public.receive_webhook_event(
  p_payload jsonb, p_hint_topic text default null, p_vouched_for text default null, p_apply boolean default true)
returns jsonb
language plpgsql
set search_path = ''
-- the foreign key's plan, too, is one from when the ledger was short
set enable_seqscan = off
set lock_timeout = '2s'
-- PostgREST takes this for the whole call: it ends before the function's caller stops waiting
set statement_timeout = '4s'
as $$
declare
  v_now timestamptz := private.engine_now();
  e private.webhook_facts;
  v public.webhook_events;
  v_named jsonb;
begin
  if jsonb_typeof(p_payload) is distinct from 'object' then
    raise sqlstate 'PT422' using message = 'an event is a JSON object';
  end if;
  select r.* into e from private.read_event(p_payload, p_hint_topic) r;
  if p_vouched_for is not null and e.creator_uuid is distinct from p_vouched_for then
    -- the function reads a body too roughly to say whose event it is: what counts is who is booked
    raise sqlstate 'PT403' using message = 'the event is not about the creator whose secret signed it';
  end if;
  if e.topic = 'fanvue_sync.test' then
    -- our own question whether deliveries arrive; the answer is looked up and taken away by take_webhook_test
    insert into private.webhook_tests (id, received_at) values (e.event_id, v_now) on conflict (id) do nothing;
    delete from private.webhook_tests t where t.received_at < v_now - interval '1 hour';
    return jsonb_build_object('status', 'ignored');
  end if;
  if e.topic = 'unknown' and jsonb_typeof(p_payload -> 'data') is distinct from 'object' then
    raise sqlstate 'PT422' using message = 'no event: neither a type, nor data, nor the form of an older one';
  end if;
  v.id := gen_random_uuid();
  v.event_id := e.event_id;
  v.topic := e.topic;
  v.creator_uuid := e.creator_uuid;
  v.payment_id := e.payment_id;
  v.payload := private.storable(p_payload);
  v.received_at := v_now;
  v.attempts := 0;
  -- where Fanvue sent no id that could be kept: the one by which logs and jobs name the event
  v_named := case when e.event_id is distinct from p_payload ->> 'id' then jsonb_build_object('event_id', e.event_id) else '{}' end;
  if p_apply then
    if e.creator_uuid is not null then
      -- An event is parked before its creator connects, or sees their model: never neither.
      perform pg_advisory_xact_lock_shared(hashtextextended('fanvue-creator:' || e.creator_uuid, 0));
    end if;
    v := private.apply_event(v, e, true, v_now);
  else
    -- Waits for nobody, and asks nobody whom it may name.
    v.payload := private.without_names(private.without_texts(v.payload));
    v.status := 'failed';
    v.error := 'not applied in time (the database gave no answer); the worker tries it again';
    v.retry_at := v_now;
  end if;
  if v.id is not null then
    -- once, as what it became
    insert into public.webhook_events select (v).* on conflict (event_id, creator_uuid) do nothing;
    if found then
      return v_named || jsonb_build_object('status', case v.status
        when 'duplicate_of_api' then 'duplicate' when 'failed' then 'parked' else v.status end);
    end if;
    if v.status in ('applied', 'duplicate_of_api') then
      -- stored unapplied a moment ago, by the second call for it: booked then, once
      raise sqlstate 'PT409' using message = 'the same event is being stored by another call';
    end if;
  end if;
  return v_named || jsonb_build_object('status', 'duplicate');
end
$$;
comment on function public.receive_webhook_event(jsonb, text, text, boolean) is
  'Applies and stores a verified event: applied, duplicate, ignored or parked; event_id where it has none of its own. The same event of the same creator again changes nothing. '
  'p_vouched_for: the creator whose registered webhook''s secret signed it, null for the settings'' secrets; 403: the event is not about them. '
  'p_apply false: after a call that gave no answer; stores it, waits for no lock, and leaves the applying to the worker.';
revoke all on function public.receive_webhook_event(jsonb, text, text, boolean) from public, anon, authenticated;
grant execute on function public.receive_webhook_event(jsonb, text, text, boolean) to service_role;

create or replace function private.late_creators(p_now timestamptz)
returns table (creator_uuid text, retry_at timestamptz)
language sql
stable
set search_path = ''
-- one probe of the index a creator, however many events each has, and whatever the statistics say
set enable_seqscan = off
set enable_bitmapscan = off
as $$
  with recursive late as (
    (select w.creator_uuid, w.retry_at
     from public.webhook_events w
     where w.retry_at is not null and w.creator_uuid is not null
     order by w.creator_uuid, w.retry_at
     limit 1)
    union all
    select n.creator_uuid, n.retry_at
    from late l
    cross join lateral (select w.creator_uuid, w.retry_at
                        from public.webhook_events w
                        where w.retry_at is not null and w.creator_uuid > l.creator_uuid
                        order by w.creator_uuid, w.retry_at
                        limit 1) n
  )
  select l.creator_uuid, l.retry_at from late l where l.retry_at <= p_now
  union all
  (select null, w.retry_at
   from public.webhook_events w
   where w.creator_uuid is null and w.retry_at <= p_now
   order by w.retry_at
   limit 1)
$$;
comment on function private.late_creators(timestamptz) is 'Whose events are to be tried again by now, and since when.';
revoke all on function private.late_creators(timestamptz) from public, anon, authenticated;
grant execute on function private.late_creators(timestamptz) to service_role;

create or replace function public.retry_webhook_events(p_limit integer default 50)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_most constant integer := 10;
  v_due record;
  v_id uuid;
  v_model_id uuid;
  -- the creators of this call, with their models
  v_held jsonb := '[]'::jsonb;
  v public.webhook_events;
  v_applied integer := 0;
  v_failed integer := 0;
  v_became text;
  v_more boolean := false;
begin
  -- Nobody is waited for: who is busy has their turn at the next call, and keeps nobody else from theirs.
  for v_due in select l.creator_uuid from private.late_creators(v_now) l order by l.retry_at, l.creator_uuid loop
    select m.id into v_model_id from public.models m where m.fanvue_user_uuid = v_due.creator_uuid for no key update skip locked;
    continue when not found and exists (select from public.models m where m.fanvue_user_uuid = v_due.creator_uuid);
    -- a grant that is being stored applies what is parked: not what would be parked meanwhile
    continue when v_due.creator_uuid is not null
                  and not pg_try_advisory_xact_lock_shared(hashtextextended('fanvue-creator:' || v_due.creator_uuid, 0));
    v_held := v_held || jsonb_build_object('creator', v_due.creator_uuid, 'model', v_model_id);
    exit when jsonb_array_length(v_held) >= least(v_most, p_limit);
  end loop;
  -- Polls are brought forward by model and stream, as the schedule queues jobs: neither waits for what the other has.
  for v_id in
    select d.id
    from jsonb_to_recordset(v_held) h(creator text, model uuid)
    cross join lateral (
      select w.id, w.payload, w.topic, w.retry_at
      from public.webhook_events w
      where w.retry_at <= v_now and w.creator_uuid = h.creator
      union all
      select w.id, w.payload, w.topic, w.retry_at
      from public.webhook_events w
      where w.retry_at <= v_now and w.creator_uuid is null and h.creator is null
      order by retry_at, id
      limit greatest(1, p_limit / greatest(1, jsonb_array_length(v_held)))) d
    cross join lateral private.read_event(d.payload, d.topic) e
    order by h.model, private.stream_of_event(e.kind), d.retry_at, d.id
  loop
    select w.* into v from public.webhook_events w where w.id = v_id and w.retry_at <= v_now for update skip locked;
    continue when not found;
    v_became := private.try_stored_event(v, v_now);
    if v_became in ('failed', 'cancelled') then
      v_failed := v_failed + 1;
    else
      v_applied := v_applied + 1;
    end if;
    -- the time of a call runs out once: what came after this one would have no limit
    v_more := v_became <> 'cancelled';
    exit when not v_more;
  end loop;
  return jsonb_build_object('applied', v_applied, 'failed', v_failed, 'more', v_more);
end
$$;
comment on function public.retry_webhook_events(integer) is
  'Tries the events again that could not be applied in time: of the ten creators who wait longest and are free, as many of each. more: call it again. '
  'pg_cron and every tick of a worker call it; any number of callers apply nothing twice.';
revoke all on function public.retry_webhook_events(integer) from public, anon, authenticated;
grant execute on function public.retry_webhook_events(integer) to service_role;

create or replace function private.apply_parked(p_creator_uuid text, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_event public.webhook_events;
  v_count integer := 0;
  -- a grant waits for this; the page commits that follow take the rest
  v_most constant integer := 200;
begin
  for v_event in
    select (o.w).*
    from (select w from public.webhook_events w
          where w.creator_uuid = p_creator_uuid and w.status = 'parked'
          order by w.received_at, w.id
          limit v_most
          for update) o
    cross join lateral private.read_event((o.w).payload, (o.w).topic) e
    -- by stream, as the schedule queues jobs: neither waits for what the other has
    order by private.stream_of_event(e.kind), (o.w).received_at, (o.w).id
  loop
    v_count := v_count + 1;
    -- what was too slow once must not be followed by more
    exit when private.try_stored_event(v_event, p_now) = 'cancelled';
  end loop;
  return v_count;
end
$$;
comment on function private.apply_parked(text, timestamptz) is 'Applies what was parked for a creator, 200 events at a time, those of each stream in the order they came. The caller holds the model.';
revoke all on function private.apply_parked(text, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_parked(text, timestamptz) to service_role;

create or replace function private.require_event(p_id uuid)
returns public.webhook_events
language plpgsql
set search_path = ''
as $$
declare
  v_event public.webhook_events;
begin
  -- An event is looked at before its creator connects, or sees their model: never neither.
  perform pg_advisory_xact_lock_shared(hashtextextended('fanvue-creator:' || w.creator_uuid, 0))
  from public.webhook_events w
  where w.id = p_id;
  -- the model first, as everywhere: a grant that applies what was parked holds it and takes the events
  perform private.lock_model(m.id)
  from public.webhook_events w
  join public.models m on m.fanvue_user_uuid = w.creator_uuid
  where w.id = p_id;
  select w.* into v_event from public.webhook_events w where w.id = p_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no webhook event %s', p_id), hint = 'ops.webhooks_waiting lists what waits, by its column id';
  end if;
  return v_event;
end
$$;
comment on function private.require_event(uuid) is 'Locks an event, after its creator and their model, or says that there is none and where ids are to be found.';
revoke all on function private.require_event(uuid) from public, anon, authenticated;
grant execute on function private.require_event(uuid) to service_role;

create or replace function ops.replay_webhook(p_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_event public.webhook_events := private.require_event(p_id);
  v_before text := v_event.status;
begin
  if v_before in ('applied', 'duplicate_of_api') then
    return jsonb_build_object('id', p_id, 'status', v_before, 'message', 'nothing to do: the event is applied already');
  end if;
  v_event := private.apply_stored_event(v_event, private.engine_now());
  if v_event.status <> v_before then
    perform private.note_action('replay_webhook', 'webhook event ' || p_id, jsonb_build_object('id', p_id),
                                jsonb_build_object('status', jsonb_build_array(v_before, v_event.status)));
  end if;
  return jsonb_build_object('id', p_id, 'status', v_event.status, 'message', case v_event.status
    when 'failed' then format('it failed%s: %s', case when v_before = 'failed' then ' again' else '' end, v_event.error)
    when 'parked' then 'it waits: no model has this creator'
    when 'ignored' then 'it has no meaning for the engine'
    when 'duplicate_of_api' then 'it is applied: the ledger had its row already'
    else 'it is applied' end);
end
$$;
comment on function ops.replay_webhook(uuid) is
  'Applies a parked, failed or ignored event again and says what became of it, and why if it failed. On an applied one it does nothing.';
revoke all on function ops.replay_webhook(uuid) from public, anon, authenticated;
grant execute on function ops.replay_webhook(uuid) to service_role;
