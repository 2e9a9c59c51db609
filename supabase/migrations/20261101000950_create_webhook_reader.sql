-- Purpose: reading what Fanvue sends: envelopes (creator.*, checkout_link.*, app.*) and the flat bodies of old.
-- Who may call: the webhook functions. Nothing is written here.
-- Locks: none. PL/pgSQL throughout: several calls an event, and a function in SQL that sets its search_path is planned at each.

create or replace function private.as_moment(p_text text)
returns timestamptz
language plpgsql
stable
set search_path = ''
-- a stamp without a zone is UTC
set timezone = 'UTC'
as $$
begin
  -- a date and a time; words such as "now" or "infinity" are none
  return case when p_text ~ '^\d{4}-\d\d-\d\d[T ]\d\d:' then p_text::timestamptz end;
exception when others then
  return null;
end
$$;
comment on function private.as_moment(text) is 'A time stamp as sent, or null when it is none.';
revoke all on function private.as_moment(text) from public, anon, authenticated;
grant execute on function private.as_moment(text) to service_role;

create or replace function private.as_key(p_text text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- keys are indexed; what is too long for one is known by its hash. Other numbers than uuids may mean something by their case.
  return coalesce(private.as_uuid(p_text),
    case when length(p_text) <= 200 then nullif(p_text, '') else 'sha256:' || encode(sha256(convert_to(p_text, 'UTF8')), 'hex') end);
end
$$;
comment on function private.as_key(text) is 'A sender''s text as something that can be indexed, a uuid in lower case; null when empty.';
revoke all on function private.as_key(text) from public, anon, authenticated;
grant execute on function private.as_key(text) to service_role;

create or replace function private.as_text(p_value jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- the text of an object or a list would be one id for all that are alike
  return case when jsonb_typeof(p_value) in ('string', 'number') then nullif(btrim(p_value #>> '{}'), '') end;
end
$$;
comment on function private.as_text(jsonb) is 'A text or a number as sent, trimmed; null when it is empty or something else.';
revoke all on function private.as_text(jsonb) from public, anon, authenticated;
grant execute on function private.as_text(jsonb) to service_role;

create or replace function private.amount_fault(p_amount jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_units numeric;
begin
  if p_amount is null then
    -- missing is for the caller to judge: a reversal may have its sale's amount
    return null;
  end if;
  if jsonb_typeof(p_amount) <> 'number' and (jsonb_typeof(p_amount) <> 'string' or p_amount #>> '{}' !~ '^[0-9]{1,30}$') then
    return format('the amount %s is no number of minor units', left(p_amount::text, 60));
  end if;
  v_units := (p_amount #>> '{}')::numeric;
  return case
    when v_units <> trunc(v_units) then format('the amount %s is no whole number of minor units', left(p_amount::text, 60))
    when v_units < 0 then format('the amount %s is negative', left(p_amount::text, 60))
    -- a thousandth of what the ledger's numeric(14, 2) holds, so that sums stay far from its end
    when v_units >= 1e11 then format('the amount %s is too large', left(p_amount::text, 60)) end;
end
$$;
comment on function private.amount_fault(jsonb) is 'Why an amount as sent cannot be booked; null when it can, or when there is none.';
revoke all on function private.amount_fault(jsonb) from public, anon, authenticated;
grant execute on function private.amount_fault(jsonb) to service_role;

create or replace function private.as_minor_units(p_amount jsonb)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when private.amount_fault(p_amount) is null then trunc((p_amount #>> '{}')::numeric) end;
end
$$;
comment on function private.as_minor_units(jsonb) is 'An amount as sent, a number or digits in a text, in minor units; null when it is missing or faulty.';
revoke all on function private.as_minor_units(jsonb) from public, anon, authenticated;
grant execute on function private.as_minor_units(jsonb) to service_role;

create or replace function private.fan_of_event(p_fans jsonb[])
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- the first that says who; one without a uuid is better than nothing
  return coalesce((
    select case when f.uuid is null then x.fan - 'uuid' else x.fan || jsonb_build_object('uuid', f.uuid) end
    from unnest(p_fans) with ordinality x(fan, place)
    cross join lateral (select lower(private.as_text(x.fan -> 'uuid')) as uuid) f
    where jsonb_typeof(x.fan) = 'object'
    order by f.uuid is null, x.place
    limit 1), '{}');
end
$$;
comment on function private.fan_of_event(jsonb[]) is 'The fan of an event among the places where one may stand, the uuid in lower case; an empty object when there is none.';
revoke all on function private.fan_of_event(jsonb[]) from public, anon, authenticated;
grant execute on function private.fan_of_event(jsonb[]) to service_role;

create or replace function private.legacy_topic(p jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_said constant jsonb := jsonb_strip_nulls(p);
begin
  -- Flat bodies carry no type: their fields tell. The order matters, a tip has a messageUuid too.
  return case
    when jsonb_typeof(p -> 'recipientUuid') is distinct from 'string' then null
    when jsonb_typeof(p -> 'message') = 'object' then 'legacy.message.received'
    when v_said ? 'context' then 'legacy.tip.new'
    when v_said ? 'postUuid' or v_said ? 'routeUuid' or v_said ? 'purchaseType' then 'legacy.purchase.new'
    when v_said ? 'price' then 'legacy.subscriber.new'
    when v_said ? 'messageUuid' then 'legacy.message.read'
    -- a price of null is money without its amount, which must not pass for a follow
    when p ? 'price' then 'legacy.subscriber.new'
    else 'legacy.follow.new'
  end;
end
$$;
comment on function private.legacy_topic(jsonb) is 'The topic of a flat body of the old webhooks, by its shape; null when it is none.';
revoke all on function private.legacy_topic(jsonb) from public, anon, authenticated;
grant execute on function private.legacy_topic(jsonb) to service_role;

create type private.webhook_facts as (
  event_id text, topic text, kind text, creator_uuid text, fan jsonb, payment_id text, reverses_payment_id text,
  minor_units numeric, net_minor_units numeric, amount_fault text, detail_fault text, currency text, source text, message_uuid text, post_uuid text,
  happened_at timestamptz, data jsonb);
comment on type private.webhook_facts is
  'What a webhook is about, whatever family it comes from. kind null: no meaning for us. Amounts in minor units of currency (null: US dollars); '
  'amount_fault says why the event cannot be booked, detail_fault what it is booked without. Ids are folded: fans, messages, posts and payments are compared as they stand here.';

create or replace function private.read_event(p jsonb, p_hint_topic text)
returns private.webhook_facts
language plpgsql
stable
set search_path = ''
as $$
declare
  f private.webhook_facts;
  d jsonb;
  v_flat boolean := jsonb_typeof(p -> 'type') is distinct from 'string' or jsonb_typeof(p -> 'data') is distinct from 'object';
  v_legacy_topic text := case when v_flat then private.legacy_topic(p) end;
begin
  -- null is missing: stripped once, so that nothing below takes it for a value. What is stored stays as it was sent.
  p := jsonb_strip_nulls(p);
  d := case when jsonb_typeof(p -> 'data') = 'object' then p -> 'data' else '{}'::jsonb end;
  f.data := d;
  if v_flat then
    f.topic := coalesce(v_legacy_topic, nullif(p_hint_topic, ''), nullif(p ->> 'type', ''), 'unknown');
    f.creator_uuid := private.as_uuid(p ->> 'recipientUuid');
    f.fan := private.fan_of_event(array[p -> 'sender', jsonb_build_object('uuid', p -> 'senderUuid')]);
    f.payment_id := private.as_key(private.as_text(p -> 'transactionOrderId'));
    f.happened_at := private.as_moment(p ->> 'timestamp');
    f.message_uuid := lower(coalesce(private.as_text(p -> 'routeUuid'), private.as_text(p -> 'messageUuid'), private.as_text(p #> '{message,uuid}')));
    f.post_uuid := lower(private.as_text(p -> 'postUuid'));
    f.kind := case f.topic
      when 'legacy.tip.new' then 'payment'
      when 'legacy.purchase.new' then 'payment'
      when 'legacy.subscriber.new' then 'payment'
      when 'legacy.message.received' then 'message'
      when 'legacy.message.read' then 'read'
      when 'legacy.follow.new' then 'follow'
    end;
    f.source := case f.topic
      when 'legacy.tip.new' then 'tip'
      when 'legacy.subscriber.new' then 'subscription'
      when 'legacy.purchase.new' then case when p ? 'postUuid' then 'post' else 'message' end
    end;
    if f.kind = 'payment' then
      f.minor_units := private.as_minor_units(p -> 'price');
      f.amount_fault := private.amount_fault(p -> 'price');
    end if;
    -- not the id of the header: it is not signed, and a repetition under another one would be money twice
    f.event_id := coalesce(private.as_key(private.as_text(p -> 'eventId')),
      'sha256:' || encode(sha256(convert_to(jsonb_build_array(
        f.topic, lower(p ->> 'recipientUuid'), f.fan ->> 'uuid', p ->> 'price',
        f.message_uuid, f.post_uuid, f.payment_id, p ->> 'timestamp', case when f.kind is null then p end)::text, 'UTF8')), 'hex'));
    return f;
  end if;

  f.topic := p ->> 'type';
  f.creator_uuid := private.as_uuid(coalesce(d #>> '{creator,uuid}', d ->> 'creator_uuid'));
  f.fan := private.fan_of_event(array[d -> 'purchaser', d #> '{payment,purchaser}', d -> 'fan', d -> 'follower']);
  f.happened_at := coalesce(private.as_moment(d ->> 'paid_at'), private.as_moment(d ->> 'created_at'), private.as_moment(p ->> 'timestamp'));
  f.currency := upper(private.as_text(d -> 'currency'));
  f.source := coalesce(left(private.as_text(d -> 'source'), 200),
    case when f.topic like 'checkout\_link.%' then 'checkoutLink' when f.topic like 'app.%' then 'appStore' end);
  f.message_uuid := lower(private.as_text(d -> 'message_uuid'));
  f.post_uuid := lower(private.as_text(d -> 'post_uuid'));
  f.kind := case
    when f.topic in ('creator.payment.succeeded', 'checkout_link.payment.succeeded', 'app.payment.succeeded') then 'payment'
    when f.topic in ('creator.refund.created', 'checkout_link.refund.created', 'app.payment.refunded') then 'refund'
    when f.topic in ('creator.dispute.created', 'checkout_link.dispute.created') then 'dispute'
    when f.topic in ('creator.subscription.activated', 'creator.subscription.renewed', 'checkout_link.subscription.activated') then 'subscribed'
    when f.topic in ('creator.subscription.deactivated', 'checkout_link.subscription.deactivated') then 'unsubscribed'
    when f.topic = 'creator.subscription.cancel_at_period_end_changed' then 'renewal'
    when f.topic = 'creator.follow.created' then 'follow'
    when f.topic in ('creator.message.received', 'creator.message.sent') then 'message'
    when f.topic = 'creator.message.read' then 'read'
    when f.topic = 'creator.message.deleted' then 'deleted'
  end;
  if f.kind = 'message' or f.kind = 'deleted' then
    f.message_uuid := lower(private.as_text(d -> 'uuid'));
  end if;
  if f.kind in ('payment', 'refund', 'dispute') then
    f.payment_id := private.as_key(private.as_text(d -> 'id'));
    f.reverses_payment_id := private.as_key(coalesce(private.as_text(d -> 'payment_id'), private.as_text(d #> '{payment,id}')));
    f.minor_units := private.as_minor_units(coalesce(d -> 'gross', d -> 'amount'));
    f.net_minor_units := private.as_minor_units(d -> 'net');
    f.amount_fault := private.amount_fault(coalesce(d -> 'gross', d -> 'amount'));
    f.detail_fault := 'booked without its net: ' || private.amount_fault(d -> 'net');
  end if;
  f.event_id := coalesce(private.as_key(private.as_text(p -> 'id')),
                       'sha256:' || encode(sha256(convert_to(p::text, 'UTF8')), 'hex'));
  return f;
end
$$;
comment on function private.read_event(jsonb, text) is
  'Says what a webhook is about, whatever family it comes from, with null taken for missing and ids folded. Never refuses: what is faulty is said in amount_fault and detail_fault.';
revoke all on function private.read_event(jsonb, text) from public, anon, authenticated;
grant execute on function private.read_event(jsonb, text) to service_role;
