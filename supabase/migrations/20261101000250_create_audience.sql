-- Purpose: the people behind the money: fans, chats and messages, one row per creator and fan, per chat, per message.
-- Who may call: members read their agency's rows; only service_role and the webhook functions write.
-- Locks: none on existing tables but models, for the counter columns.

alter table public.models
  add column if not exists subscribers_count integer default 0,
  add column if not exists followers_count integer default 0;
comment on column public.models.subscribers_count is 'Active subscribers: moves with the fan rows and is set anew whenever Fanvue''s list was read to its end; never written by hand.';
comment on column public.models.followers_count is 'Followers: moves with the fan rows and is set anew whenever Fanvue''s list was read to its end; never written by hand.';

grant select (subscribers_count, followers_count) on public.models to authenticated;

create table public.fanvue_fans (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  fan_uuid text not null,
  handle text,
  display_name text,
  registered_at timestamptz,
  is_top_spender boolean,
  is_subscriber boolean not null default false,
  is_follower boolean not null default false,
  subscription_id text,
  subscription_status text,
  price numeric(14, 2),
  auto_renews boolean,
  subscribed_at timestamptz,
  expires_at timestamptz,
  ended_at timestamptz,
  end_reason text,
  followed_at timestamptz,
  unfollowed_at timestamptz,
  changed_at timestamptz,
  changed_by text,
  auto_renews_by text,
  read_until timestamptz,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  subscriber_seen_at timestamptz,
  subscriber_missed_at timestamptz,
  follower_seen_at timestamptz,
  follower_missed_at timestamptz,
  constraint fanvue_fans_model_id_fan_uuid_key unique (model_id, fan_uuid)
);
comment on table public.fanvue_fans is 'Fans of a creator: who subscribes, who follows, since when.';
comment on column public.fanvue_fans.fan_uuid is 'The fan''s uuid on Fanvue.';
comment on column public.fanvue_fans.registered_at is 'When the fan joined Fanvue.';
comment on column public.fanvue_fans.is_top_spender is 'Whether Fanvue marks the fan as a top spender.';
comment on column public.fanvue_fans.is_subscriber is 'Whether a subscription runs now.';
comment on column public.fanvue_fans.is_follower is
  'Whether the fan is on Fanvue''s list of followers, which leaves out active subscribers. No event tells of its end: only a list read to its end does.';
comment on column public.fanvue_fans.subscription_status is 'Fanvue''s word for the subscription (active, cancelled, ...), where it says one.';
comment on column public.fanvue_fans.price is 'What the subscription costs per period, US dollars, where Fanvue says it.';
comment on column public.fanvue_fans.auto_renews is 'Whether the subscription renews by itself, where Fanvue says it.';
comment on column public.fanvue_fans.subscription_id is 'Fanvue''s id of the newest subscription.';
comment on column public.fanvue_fans.subscribed_at is 'When the fan first subscribed, as far as known.';
comment on column public.fanvue_fans.expires_at is 'When the running subscription ends unless it renews.';
comment on column public.fanvue_fans.end_reason is 'Why the last subscription ended, in Fanvue''s words.';
comment on column public.fanvue_fans.followed_at is 'When the fan followed, as far as Fanvue told.';
comment on column public.fanvue_fans.unfollowed_at is 'When the list of followers no longer named the fan.';
comment on column public.fanvue_fans.subscriber_seen_at is 'When a complete reading of the subscribers last listed the fan, or an event told of the subscription since.';
comment on column public.fanvue_fans.subscriber_missed_at is 'When a complete reading of several pages first missed the subscriber: a second miss ends the subscription.';
comment on column public.fanvue_fans.follower_seen_at is 'When a complete reading of the followers last listed the fan, or an event told of the follow since.';
comment on column public.fanvue_fans.follower_missed_at is 'When a complete reading of several pages first missed the follower: a second miss ends it.';
comment on column public.fanvue_fans.read_until is 'Up to when the creator has read this fan''s messages, as far as Fanvue told.';
comment on column public.fanvue_fans.first_seen_at is 'When we first heard of the fan.';
comment on column public.fanvue_fans.last_seen_at is 'When we last heard of the fan.';
comment on column public.fanvue_fans.ended_at is 'When the last subscription ended; null while one runs.';
comment on column public.fanvue_fans.changed_at is 'Fanvue''s time of the newest subscription event applied: an older one that arrives late changes nothing.';
comment on column public.fanvue_fans.auto_renews_by is
  'The newest event that told auto_renews, its instant first: others change the subscription and say nothing of it.';
comment on column public.fanvue_fans.changed_by is
  'That event: how much it weighs against others of its instant, and its id. The greatest text decides, whichever arrives last.';
create index fanvue_fans_agency_id_idx on public.fanvue_fans (agency_id);

create table public.fanvue_chats (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  fan_uuid text not null,
  handle text,
  display_name text,
  last_message_at timestamptz,
  last_message_uuid text,
  unread_count integer,
  is_muted boolean,
  fanvue_created_at timestamptz,
  known_until timestamptz,
  pending boolean not null default false,
  live_cursor text,
  live_newest timestamptz,
  history_cursor text,
  history_done boolean not null default false,
  first_seen_at timestamptz not null default now(),
  constraint fanvue_chats_model_id_fan_uuid_key unique (model_id, fan_uuid)
);
comment on table public.fanvue_chats is 'Chats of a creator, one per fan, and how far their messages are read.';
comment on column public.fanvue_chats.fan_uuid is 'The other side''s uuid on Fanvue: it names the chat.';
comment on column public.fanvue_chats.last_message_at is 'When the newest message was sent, as Fanvue''s list of chats says.';
comment on column public.fanvue_chats.last_message_uuid is 'The newest message, as Fanvue''s list of chats says.';
comment on column public.fanvue_chats.unread_count is 'Messages that the creator has not read.';
comment on column public.fanvue_chats.is_muted is 'Whether the creator muted the chat.';
comment on column public.fanvue_chats.fanvue_created_at is 'When the chat began, UTC.';
comment on column public.fanvue_chats.known_until is 'All messages from here back to the history''s place are stored; null until the chat was read once.';
comment on column public.fanvue_chats.pending is 'The list of chats showed news that are not read yet.';
comment on column public.fanvue_chats.live_cursor is 'Where the reading of the news goes on, when they fill several pages.';
comment on column public.fanvue_chats.live_newest is 'Newest message of the reading under way; becomes known_until when it ends.';
comment on column public.fanvue_chats.history_cursor is 'Where the reading of older messages goes on.';
comment on column public.fanvue_chats.history_done is 'Whether the chat is read back to its first message.';
comment on column public.fanvue_chats.first_seen_at is 'When we first heard of the chat.';
create index fanvue_chats_model_id_pending_idx on public.fanvue_chats (model_id, pending, last_message_at desc);
create index fanvue_chats_model_id_history_done_idx on public.fanvue_chats (model_id, history_done, last_message_at desc);
create index fanvue_chats_agency_id_idx on public.fanvue_chats (agency_id);

create table public.fanvue_messages (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  message_uuid text not null,
  fan_uuid text not null,
  sender text not null,
  body text,
  type text,
  has_media boolean,
  media_type text,
  media_count integer,
  price numeric(14, 2),
  sent_at timestamptz not null,
  purchased_at timestamptz,
  read_at timestamptz,
  deleted_at timestamptz,
  created_at timestamptz not null default now(),
  constraint fanvue_messages_model_id_message_uuid_key unique (model_id, message_uuid),
  constraint fanvue_messages_sender_check check (sender in ('fan', 'creator'))
);
comment on table public.fanvue_messages is 'Messages between a creator and their fans.';
comment on column public.fanvue_messages.message_uuid is 'The message''s uuid on Fanvue.';
comment on column public.fanvue_messages.sender is 'fan or creator.';
comment on column public.fanvue_messages.sent_at is 'When it was sent, UTC.';
comment on column public.fanvue_messages.deleted_at is 'When it was deleted on Fanvue; the text is gone from then on.';
comment on column public.fanvue_messages.body is 'The text, where Fanvue sent it and keep_text allows it. Null: metadata only, or deleted.';
comment on column public.fanvue_messages.read_at is 'When the other side read it, or when we first heard that it was read.';
comment on column public.fanvue_messages.type is 'Fanvue''s type, verbatim; new ones appear without notice.';
comment on column public.fanvue_messages.has_media is 'Whether pictures, videos or sounds are attached.';
comment on column public.fanvue_messages.media_type is 'image, video, audio or document.';
comment on column public.fanvue_messages.media_count is 'How many media are attached.';
comment on column public.fanvue_messages.price is 'What unlocking it costs, US dollars; null when it is free.';
comment on column public.fanvue_messages.purchased_at is 'When the fan unlocked it, from Fanvue''s list or from the sale itself.';
create index fanvue_messages_model_id_fan_uuid_sent_at_idx on public.fanvue_messages (model_id, fan_uuid, sent_at desc);
create index fanvue_messages_agency_id_idx on public.fanvue_messages (agency_id);

create or replace function private.count_audience()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.models m
  set subscribers_count = greatest(0, coalesce(m.subscribers_count, 0) + d.subscribers),
      followers_count = greatest(0, coalesce(m.followers_count, 0) + d.followers)
  from (
    select v.model_id, sum(v.subscriber)::integer as subscribers, sum(v.follower)::integer as followers
    from (select n.model_id, n.is_subscriber::integer as subscriber, n.is_follower::integer as follower from new_rows n
          union all
          select o.model_id, -o.is_subscriber::integer, -o.is_follower::integer from old_rows o) v
    group by v.model_id
  ) d
  where m.id = d.model_id and (d.subscribers <> 0 or d.followers <> 0);
  return null;
end
$$;
comment on function private.count_audience() is 'Moves a model''s subscriber and follower counters with the fan rows that changed.';
revoke all on function private.count_audience() from public, anon, authenticated;

create or replace function private.count_new_audience()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.models m
  set subscribers_count = coalesce(m.subscribers_count, 0) + d.subscribers,
      followers_count = coalesce(m.followers_count, 0) + d.followers
  from (select n.model_id, count(*) filter (where n.is_subscriber) as subscribers, count(*) filter (where n.is_follower) as followers
        from new_rows n group by n.model_id) d
  where m.id = d.model_id and (d.subscribers <> 0 or d.followers <> 0);
  return null;
end
$$;
comment on function private.count_new_audience() is 'Adds new fan rows to a model''s counters.';
revoke all on function private.count_new_audience() from public, anon, authenticated;

create trigger fanvue_fans_count_insert
  after insert on public.fanvue_fans
  referencing new table as new_rows
  for each statement execute function private.count_new_audience();
create trigger fanvue_fans_count_update
  after update on public.fanvue_fans
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.count_audience();

create or replace function private.mark_purchased()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.fanvue_messages m
  set purchased_at = n.fanvue_created_at
  from new_rows n
  where n.category = 'message' and n.amount > 0 and n.message_uuid is not null
    and m.model_id = n.model_id and m.message_uuid = n.message_uuid and m.purchased_at is null;
  return null;
end
$$;
comment on function private.mark_purchased() is 'A sale that names a message unlocks it, without a call to Fanvue.';
revoke all on function private.mark_purchased() from public, anon, authenticated;
create trigger fanvue_transactions_mark_purchased
  after insert on public.fanvue_transactions
  referencing new table as new_rows
  for each statement execute function private.mark_purchased();

alter table public.fanvue_fans enable row level security;
alter table public.fanvue_chats enable row level security;
alter table public.fanvue_messages enable row level security;
revoke all on public.fanvue_fans, public.fanvue_chats, public.fanvue_messages from public, anon, authenticated;
grant select on public.fanvue_fans, public.fanvue_chats, public.fanvue_messages to authenticated;
grant all on public.fanvue_fans, public.fanvue_chats, public.fanvue_messages to service_role;
create policy "members see their agency's fans" on public.fanvue_fans
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their agency's chats" on public.fanvue_chats
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their agency's messages" on public.fanvue_messages
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
