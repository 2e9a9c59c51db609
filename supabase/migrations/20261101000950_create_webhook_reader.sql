-- Purpose: reading what Fanvue sends: envelopes (creator.*, checkout_link.*, app.*) and the flat bodies of old.
-- Who may call: the webhook functions. Nothing is written here.
-- Locks: none.

create or replace function private.as_moment(p_text text)
returns timestamptz
language plpgsql
stable
set search_path = ''
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
language sql
immutable
set search_path = ''
as $$
  -- keys are indexed; what is too long for one is known by its hash
  select case when length(p_text) <= 200 then nullif(p_text, '') else 'sha256:' || encode(sha256(convert_to(p_text, 'UTF8')), 'hex') end
$$;
comment on function private.as_key(text) is 'A sender''s text as something that can be indexed; null when empty.';
revoke all on function private.as_key(text) from public, anon, authenticated;
grant execute on function private.as_key(text) to service_role;

create or replace function private.as_uuid(p_text text)
returns text
language sql
immutable
set search_path = ''
as $$
  select case when lower(p_text) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then lower(p_text) end
$$;
comment on function private.as_uuid(text) is 'A uuid in lower case, or null when the text is none.';
revoke all on function private.as_uuid(text) from public, anon, authenticated;
grant execute on function private.as_uuid(text) to service_role;

create or replace function private.legacy_topic(p jsonb)
returns text
language sql
immutable
set search_path = ''
as $$
  -- Flat bodies carry no type: their fields tell. The order matters, a tip has a messageUuid too.
  select case
    when jsonb_typeof(p -> 'recipientUuid') is distinct from 'string' then null
    when jsonb_typeof(p -> 'message') = 'object' then 'legacy.message.received'
    when p ? 'context' then 'legacy.tip.new'
    when p ? 'price' and (p ? 'postUuid' or p ? 'routeUuid' or p ? 'purchaseType') then 'legacy.purchase.new'
    when p ? 'price' then 'legacy.subscriber.new'
    when p ? 'messageUuid' then 'legacy.message.read'
    else 'legacy.follow.new'
  end
$$;
comment on function private.legacy_topic(jsonb) is 'The topic of a flat body of the old webhooks, by its shape; null when it is none.';
revoke all on function private.legacy_topic(jsonb) from public, anon, authenticated;
grant execute on function private.legacy_topic(jsonb) to service_role;

create type private.webhook_facts as (
  event_id text, topic text, kind text, creator_uuid text, fan jsonb, payment_id text, reverses_payment_id text,
  minor_units numeric, net_minor_units numeric, currency text, source text, message_uuid text, post_uuid text,
  happened_at timestamptz, data jsonb);
comment on type private.webhook_facts is
  'What a webhook is about, whatever family it comes from. kind null: no meaning for us. Amounts in minor units of currency (null: US dollars).';

create or replace function private.read_event(p jsonb, p_hint_topic text)
returns private.webhook_facts
language plpgsql
stable
set search_path = ''
as $$
declare
  f private.webhook_facts;
  d jsonb := case when jsonb_typeof(p -> 'data') = 'object' then p -> 'data' else '{}'::jsonb end;
  v_flat boolean := jsonb_typeof(p -> 'type') is distinct from 'string' or jsonb_typeof(p -> 'data') is distinct from 'object';
begin
  f.data := d;
  if v_flat then
    f.topic := coalesce(private.legacy_topic(p), nullif(p_hint_topic, ''), nullif(p ->> 'type', ''), 'unknown');
    f.creator_uuid := private.as_uuid(p ->> 'recipientUuid');
    f.fan := case when jsonb_typeof(p -> 'sender') = 'object' then p -> 'sender' else jsonb_build_object('uuid', p ->> 'senderUuid') end;
    f.payment_id := private.as_key(p ->> 'transactionOrderId');
    f.happened_at := private.as_moment(p ->> 'timestamp');
    f.message_uuid := coalesce(p ->> 'routeUuid', p ->> 'messageUuid', p #>> '{message,uuid}');
    f.post_uuid := p ->> 'postUuid';
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
    if jsonb_typeof(p -> 'price') = 'number' then
      f.minor_units := trunc((p ->> 'price')::numeric);
    end if;
    -- not the id of the header: it is not signed, and a repetition under another one would be money twice
    f.event_id := coalesce(private.as_key(p ->> 'eventId'),
      'sha256:' || encode(sha256(convert_to(jsonb_build_array(
        f.topic, p ->> 'recipientUuid', coalesce(p #>> '{sender,uuid}', p ->> 'senderUuid'), p ->> 'price',
        f.message_uuid, f.post_uuid, f.payment_id, p ->> 'timestamp', case when f.kind is null then p end)::text, 'UTF8')), 'hex'));
    return f;
  end if;

  f.topic := p ->> 'type';
  f.creator_uuid := private.as_uuid(coalesce(d #>> '{creator,uuid}', d ->> 'creator_uuid'));
  f.fan := coalesce(d -> 'purchaser', d #> '{payment,purchaser}', d -> 'fan', d -> 'follower', '{}'::jsonb);
  f.happened_at := coalesce(private.as_moment(d ->> 'paid_at'), private.as_moment(d ->> 'created_at'), private.as_moment(p ->> 'timestamp'));
  f.currency := upper(nullif(d ->> 'currency', ''));
  f.source := coalesce(nullif(d ->> 'source', ''),
    case when f.topic like 'checkout\_link.%' then 'checkoutLink' when f.topic like 'app.%' then 'appStore' end);
  f.message_uuid := d ->> 'message_uuid';
  f.post_uuid := d ->> 'post_uuid';
  f.kind := case
    when f.topic in ('creator.payment.succeeded', 'checkout_link.payment.succeeded', 'app.payment.succeeded') then 'payment'
    when f.topic in ('creator.refund.created', 'checkout_link.refund.created', 'app.payment.refunded') then 'refund'
    when f.topic in ('creator.dispute.created', 'checkout_link.dispute.created') then 'dispute'
    when f.topic in ('creator.subscription.activated', 'creator.subscription.renewed', 'checkout_link.subscription.activated') then 'subscribed'
    when f.topic in ('creator.subscription.deactivated', 'checkout_link.subscription.deactivated') then 'unsubscribed'
    when f.topic = 'creator.follow.created' then 'follow'
    when f.topic in ('creator.message.received', 'creator.message.sent') then 'message'
    when f.topic = 'creator.message.read' then 'read'
    when f.topic = 'creator.message.deleted' then 'deleted'
  end;
  if f.kind = 'message' or f.kind = 'deleted' then
    f.message_uuid := d ->> 'uuid';
  end if;
  if f.kind in ('payment', 'refund', 'dispute') then
    f.payment_id := private.as_key(d ->> 'id');
    f.reverses_payment_id := private.as_key(coalesce(d ->> 'payment_id', d #>> '{payment,id}'));
    if jsonb_typeof(coalesce(d -> 'gross', d -> 'amount')) = 'number' then
      f.minor_units := trunc(coalesce(d ->> 'gross', d ->> 'amount')::numeric);
    end if;
    if jsonb_typeof(d -> 'net') = 'number' then
      f.net_minor_units := trunc((d ->> 'net')::numeric);
    end if;
  end if;
  f.event_id := coalesce(private.as_key(p ->> 'id'),
                       'sha256:' || encode(sha256(convert_to(p::text, 'UTF8')), 'hex'));
  return f;
end
$$;
comment on function private.read_event(jsonb, text) is
  'Says what a webhook is about, whatever family it comes from. kind null: no meaning for us. Amounts in minor units of currency (null: US dollars).';
revoke all on function private.read_event(jsonb, text) from public, anon, authenticated;
grant execute on function private.read_event(jsonb, text) to service_role;
