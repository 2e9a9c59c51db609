-- Purpose: what a creator publishes (posts) and what Fanvue says of the account: daily top fans, all-time figures.
-- Who may call: members read their agency's rows; only service_role writes.
-- Locks: none on existing tables.

create table public.fanvue_posts (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  post_uuid text not null,
  body text,
  price numeric(14, 2),
  audience text,
  is_pinned boolean,
  likes integer,
  comments integer,
  tips integer,
  tips_gross numeric(14, 2),
  tips_net numeric(14, 2),
  fanvue_created_at timestamptz not null,
  publish_at timestamptz,
  published_at timestamptz,
  expires_at timestamptz,
  deleted_at timestamptz,
  seen_at timestamptz,
  missed_at timestamptz,
  first_seen_at timestamptz not null default now(),
  synced_at timestamptz not null default now(),
  constraint fanvue_posts_model_id_post_uuid_key unique (model_id, post_uuid)
);
comment on table public.fanvue_posts is 'Posts of a creator with their counters.';
comment on column public.fanvue_posts.post_uuid is 'The post''s uuid on Fanvue; fanvue_transactions.post_uuid names it too.';
comment on column public.fanvue_posts.body is 'The creator''s own text.';
comment on column public.fanvue_posts.price is 'What seeing it costs, US dollars; null when it is free.';
comment on column public.fanvue_posts.audience is 'subscribers or followers-and-subscribers.';
comment on column public.fanvue_posts.is_pinned is 'Whether it stands at the top of the page.';
comment on column public.fanvue_posts.likes is 'How many fans liked it.';
comment on column public.fanvue_posts.comments is 'How many comments it has.';
comment on column public.fanvue_posts.tips is 'How many tips the post got.';
comment on column public.fanvue_posts.tips_gross is 'What fans tipped on the post, US dollars.';
comment on column public.fanvue_posts.tips_net is 'The creator''s share of the tips, US dollars.';
comment on column public.fanvue_posts.fanvue_created_at is 'When the post was made, UTC.';
comment on column public.fanvue_posts.publish_at is 'When it is to be published.';
comment on column public.fanvue_posts.published_at is 'When it was published.';
comment on column public.fanvue_posts.expires_at is 'When it disappears by itself.';
comment on column public.fanvue_posts.deleted_at is 'When a complete reading of the posts no longer listed it.';
comment on column public.fanvue_posts.seen_at is 'When a complete reading of the posts last listed it.';
comment on column public.fanvue_posts.missed_at is 'When a complete reading of several pages first missed it: a second miss counts as deleted.';
comment on column public.fanvue_posts.first_seen_at is 'When we first heard of it.';
comment on column public.fanvue_posts.synced_at is 'When this row was last written by a sync.';
create index fanvue_posts_model_id_fanvue_created_at_idx on public.fanvue_posts (model_id, fanvue_created_at desc);
create index fanvue_posts_agency_id_idx on public.fanvue_posts (agency_id);

create table public.fanvue_top_fans (
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  day date not null,
  rank integer not null check (rank > 0),
  fan_uuid text not null,
  handle text,
  display_name text,
  gross numeric(14, 2),
  net numeric(14, 2),
  messages integer,
  synced_at timestamptz not null default now(),
  primary key (model_id, day, fan_uuid)
);
comment on table public.fanvue_top_fans is
  'Who spent most in the thirty days up to each day, as Fanvue said last on that day: one snapshot per creator and UTC day.';
comment on column public.fanvue_top_fans.day is 'The UTC day of the snapshot; the figures cover the thirty days that end with it.';
comment on column public.fanvue_top_fans.rank is '1 spent most.';
comment on column public.fanvue_top_fans.fan_uuid is 'The fan''s uuid on Fanvue.';
comment on column public.fanvue_top_fans.gross is 'What the fan paid, US dollars; null when Fanvue did not say.';
comment on column public.fanvue_top_fans.net is 'The creator''s share of it, US dollars; null when Fanvue did not say.';
comment on column public.fanvue_top_fans.messages is 'Messages between the two, as Fanvue counts them.';
comment on column public.fanvue_top_fans.synced_at is 'When this row was last written by a sync.';
create index fanvue_top_fans_fan_uuid_idx on public.fanvue_top_fans (fan_uuid);
create index fanvue_top_fans_agency_id_day_idx on public.fanvue_top_fans (agency_id, day);

create table public.fanvue_accounts (
  model_id uuid primary key references public.models (id) on delete cascade,
  agency_id uuid not null references public.agencies (id) on delete cascade,
  status text,
  total_gross numeric(16, 2),
  available_balance numeric(16, 2),
  last_payout_at timestamptz,
  subscribers integer,
  followers integer,
  counted_subscribers integer,
  counted_followers integer,
  synced_at timestamptz not null default now()
);
comment on table public.fanvue_accounts is 'What Fanvue says of a creator''s account as a whole, newest figures only.';
comment on column public.fanvue_accounts.status is 'active or suspended, in Fanvue''s words.';
comment on column public.fanvue_accounts.total_gross is 'All-time gross of paid invoices, US dollars.';
comment on column public.fanvue_accounts.available_balance is 'What can be paid out now, US dollars.';
comment on column public.fanvue_accounts.last_payout_at is 'When Fanvue last paid out.';
comment on column public.fanvue_accounts.subscribers is 'Subscribers as Fanvue counts them.';
comment on column public.fanvue_accounts.followers is 'Followers as Fanvue counts them.';
comment on column public.fanvue_accounts.counted_subscribers is
  'Our own count when Fanvue''s figure last moved or the list was last read to its end: when the figure moves by something else than our rows, the list is read to its end.';
comment on column public.fanvue_accounts.counted_followers is 'Like counted_subscribers.';
comment on column public.fanvue_accounts.synced_at is 'When this row was last written by a sync.';
create index fanvue_accounts_agency_id_idx on public.fanvue_accounts (agency_id);

alter table public.fanvue_posts enable row level security;
alter table public.fanvue_top_fans enable row level security;
alter table public.fanvue_accounts enable row level security;
revoke all on public.fanvue_posts, public.fanvue_top_fans, public.fanvue_accounts from public, anon, authenticated;
grant select on public.fanvue_posts, public.fanvue_top_fans, public.fanvue_accounts to authenticated;
grant all on public.fanvue_posts, public.fanvue_top_fans, public.fanvue_accounts to service_role;
create policy "members see their agency's posts" on public.fanvue_posts
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their agency's top fans" on public.fanvue_top_fans
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their agency's accounts" on public.fanvue_accounts
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
