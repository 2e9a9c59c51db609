-- Purpose: how far each stream is (sync_state), the job queue (sync_jobs),
-- its history (sync_runs), the rate budgets, and the webhook inbox.
-- Who may call: members read state, jobs and runs of their agency; only service_role writes.
-- Locks: none on existing tables.

-- State ----------------------------------------------------------------------------------------------

create table public.sync_state (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  sync_type text not null,
  last_cursor text,
  last_sync_at timestamptz,
  next_sync_at timestamptz,
  last_success_at timestamptz,
  high_water timestamptz,
  consecutive_failures integer not null default 0,
  quiet_runs integer not null default 0,
  last_error jsonb,
  member_error jsonb generated always as (private.member_error(last_error)) stored,
  version bigint not null default 0,
  full_requested boolean not null default false,
  requested_at timestamptz,
  last_full_at timestamptz,
  last_deep_at timestamptz,
  aside_checked_at timestamptz,
  shrink_accepted_at timestamptz,
  whole_after timestamptz,
  validator jsonb,
  walk_id uuid,
  walk_kind text,
  walk_phase text,
  walk_mode text,
  walk_started_at timestamptz,
  walk_floor timestamptz,
  walk_ceiling timestamptz,
  walk_position timestamptz,
  walk_newest timestamptz,
  walk_border uuid[] not null default '{}',
  walk_pages integer not null default 0,
  walk_rows integer not null default 0,
  walk_changed integer not null default 0,
  walk_notes jsonb not null default '{}',
  last_page_key text,
  last_page_reply jsonb,
  constraint sync_state_model_id_sync_type_key unique (model_id, sync_type),
  constraint sync_state_walk_check check ((walk_id is null) = (walk_kind is null))
) with (fillfactor = 70);
comment on table public.sync_state is 'How far each stream of each model is: the resume point of an open walk, the high-water mark of finished ones, and health.';
comment on column public.sync_state.last_cursor is 'Fanvue''s cursor for the next page of the open walk. It resumes a walk; it cannot mean "what is new since".';
comment on column public.sync_state.next_sync_at is 'When the stream is due again. Null: not scheduled, because the model is not active or the stream is switched off or runs on demand.';
comment on column public.sync_state.quiet_runs is 'Finished polls in a row that brought nothing new; from private.sync_streams.slow_after on they make the interval longer.';
comment on column public.sync_state.whole_after is
  'A long reading ended without some of it: until then polls take what is stored for known, then it is read again. The high-water mark stays meanwhile. Null: nothing is missing.';
comment on column public.sync_state.shrink_accepted_at is 'When an operator said that a list which ends many fans or posts is right; good for the next complete reading.';
comment on column public.sync_state.validator is 'What Fanvue offered with the last poll''s first answer (ETag, Last-Modified) and for which request: sent next time, so that nothing new costs nothing.';
comment on column public.sync_state.walk_changed is 'Rows that the open (or, between walks, the last) walk inserted or changed.';
comment on column public.sync_state.high_water is 'Instant of the newest row of the last finished walk. Moves only when an enumeration finished, never past its ceiling.';
comment on column public.sync_state.version is 'Grows with every committed page; a page commits only on the version it read.';
comment on column public.sync_state.full_requested is 'The next walk re-reads all history.';
comment on column public.sync_state.walk_id is 'The open enumeration; null between walks.';
comment on column public.sync_state.walk_kind is 'incremental, deep (a long look-back) or full (all history).';
comment on column public.sync_state.walk_phase is 'What the open walk is reading: rows, then aside (reversals kept apart), or the messages of chats: talk, history.';
comment on column public.sync_state.walk_mode is 'window: by instants, so that rows sharing a millisecond stay together. days: the same by days. cursor: by Fanvue''s cursor.';
comment on column public.sync_state.walk_floor is 'Oldest instant the open walk reads; null is the beginning of history.';
comment on column public.sync_state.walk_ceiling is 'Fanvue''s clock at the walk''s first page; the high-water mark never passes it.';
comment on column public.sync_state.walk_position is 'Oldest instant committed so far: the walk goes on below it, even without a cursor.';
comment on column public.sync_state.walk_newest is 'Newest row seen by the open walk: the pending high-water mark.';
comment on column public.sync_state.walk_border is 'Ledger rows at walk_position, so that a second row under the same id at a page border is told from a repeat.';
comment on column public.sync_state.last_page_reply is 'Answer to the last committed page, returned again when that commit is repeated.';
comment on column public.sync_state.last_sync_at is 'When the last page was committed, whatever became of its walk.';
comment on column public.sync_state.last_success_at is 'When the last walk finished: the freshness that health is about.';
comment on column public.sync_state.consecutive_failures is 'Failed runs since the last success; each makes the next try later.';
comment on column public.sync_state.last_error is 'Why the last run failed: kind, message, remedy, at. Null once a walk finished.';
comment on column public.sync_state.member_error is 'What members are told of last_error: a code, fixed words, what they can do, when.';
comment on column public.sync_state.requested_at is 'When a user last asked for a sync; once a minute is enough.';
comment on column public.sync_state.last_full_at is 'When all history was last read to its end.';
comment on column public.sync_state.last_deep_at is 'When the long look-back last finished; null makes the next walk a deep one.';
comment on column public.sync_state.aside_checked_at is 'When reversals that Fanvue keeps apart were last read.';
comment on column public.sync_state.walk_started_at is 'When the open walk began.';
comment on column public.sync_state.walk_pages is 'Pages of the open (or, between walks, the last) walk.';
comment on column public.sync_state.walk_rows is 'Rows that Fanvue listed in those pages, known ones included.';
comment on column public.sync_state.walk_notes is 'What the worker must remember between pages of the open walk.';
comment on column public.sync_state.last_page_key is 'Which page was committed last: the same page again gets last_page_reply.';
create index sync_state_next_sync_at_idx on public.sync_state (next_sync_at);
create index sync_state_agency_id_idx on public.sync_state (agency_id);

-- Queue ----------------------------------------------------------------------------------------------

create table private.queue_lanes (
  agency_id uuid primary key references public.agencies (id) on delete cascade,
  weight integer not null default 1 check (weight > 0),
  max_running integer not null default 100 check (max_running >= 0),
  paused boolean not null default false,
  served_at timestamptz not null default '-infinity',
  claimed_at timestamptz,
  oldest_lease bigint not null default 0
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
comment on table private.queue_lanes is
  'One row per agency: its share of the workers. A claim locks these rows first, so caps and fairness are exact without counters.';
comment on column private.queue_lanes.weight is 'Share relative to other agencies when all have due work.';
comment on column private.queue_lanes.max_running is 'Most jobs of this agency that run at once. 0 stops it.';
comment on column private.queue_lanes.served_at is 'When a claim last took a job of this agency; the least recently served goes first.';
comment on column private.queue_lanes.claimed_at is 'When a worker last took a job of this agency, by the engine''s clock; null: never.';
comment on column private.queue_lanes.oldest_lease is
  'No running job of this agency has a smaller lease_id: where counting the running ones begins, past the entries of finished jobs.';
revoke all on private.queue_lanes from public, anon, authenticated;
grant select, insert, update on private.queue_lanes to service_role;

insert into private.queue_lanes (agency_id) select a.id from public.agencies a on conflict do nothing;

create or replace function private.open_queue_lane()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.queue_lanes (agency_id) values (new.id) on conflict do nothing;
  return null;
end
$$;
comment on function private.open_queue_lane() is 'Every agency has a lane in the queue from its first moment.';
revoke all on function private.open_queue_lane() from public, anon, authenticated;
create trigger agencies_open_queue_lane
  after insert on public.agencies
  for each row execute function private.open_queue_lane();

create sequence private.lease_ids;
comment on sequence private.lease_ids is 'Fencing tokens of job leases and token refreshes. A sequence, because attempt numbers come back.';
grant usage on sequence private.lease_ids to service_role;

create table public.sync_jobs (
  id bigint generated always as identity primary key,
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  run_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  claimed_at timestamptz,
  asked_at timestamptz,
  lease_until timestamptz,
  lease_id bigint,
  claim_id uuid,
  attempt smallint not null default 0,
  max_attempts smallint not null default 8,
  priority smallint not null default 50,
  cancel_requested boolean not null default false,
  pages integer not null default 0,
  requests integer not null default 0,
  rows_inserted integer not null default 0,
  rows_updated integer not null default 0,
  rows_unchanged integer not null default 0,
  sync_type text not null,
  state text not null default 'queued',
  bucket text not null default '',
  claimed_by text,
  cause text,
  progress jsonb,
  last_error jsonb,
  member_error jsonb generated always as (private.member_error(last_error)) stored,
  constraint sync_jobs_state_check check (state in ('queued', 'running', 'dead')),
  constraint sync_jobs_sync_type_check check (sync_type in (
    'earnings', 'messages', 'message_history', 'subscribers', 'followers', 'posts', 'top_fans', 'account', 'reconcile', 'token_refresh')),
  constraint sync_jobs_lease_check check ((state = 'running') = (lease_id is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
comment on table public.sync_jobs is
  'The queue: work that waits, runs or is dead. Small by design, at most one queued, one running and one dead job per model and stream. Finished work is in sync_runs.';
comment on column public.sync_jobs.state is 'queued: waits for run_at. running: leased by a worker. dead: gave up; ops.retry_job(id) brings it back.';
comment on column public.sync_jobs.lease_id is 'Fencing token of the current lease: every write of the job carries it, a stale one is refused.';
comment on column public.sync_jobs.lease_until is 'When the lease ends unless the worker extends it. Never indexed: heartbeats must stay heap-only.';
comment on column public.sync_jobs.claim_id is 'The claim that took the job; the same claim sent again gets the same jobs.';
comment on column public.sync_jobs.attempt is 'Attempts in a row that failed: a rate limit or a worker''s shutdown gives its attempt back, a finished slice all of them.';
comment on column public.sync_jobs.priority is 'Smaller goes first: up to 20 live, up to 60 normal, up to 120 backfill, above that low.';
comment on column public.sync_jobs.bucket is 'The rate budget that the job draws on; jobs that need a blocked endpoint of it are passed over.';
comment on column public.sync_jobs.cause is
  'Who wanted it: webhook <event id>, request <user id>, connect, refresh, night or operator; null: the schedule''s tick at created_at. Logs and sync_runs.detail say it, too.';
comment on column public.sync_jobs.progress is 'How far the running walk is: pages, rows, position.';
comment on column public.sync_jobs.last_error is 'Why the last attempt ended: kind, message, and what to do (remedy).';
comment on column public.sync_jobs.member_error is 'What members are told of last_error, as in sync_state.';

comment on column public.sync_jobs.run_at is 'Not claimed before this instant.';
comment on column public.sync_jobs.asked_at is 'When a member first asked for it: they hear how far it is and how it ended, and it stays where it is in the queue.';
comment on column public.sync_jobs.claimed_at is 'When the current, or last, attempt began.';
comment on column public.sync_jobs.max_attempts is 'A job whose attempts reach this is dead.';
comment on column public.sync_jobs.cancel_requested is 'Its worker is to stop at the next page or heartbeat.';
comment on column public.sync_jobs.requests is 'Calls to Fanvue so far, retries included.';
comment on column public.sync_jobs.claimed_by is 'The worker that holds the lease.';

-- At most one waiting job per model and stream: ticks are idempotent, and backlog is bounded by the number of targets.
create unique index sync_jobs_one_queued_key on public.sync_jobs (model_id, sync_type) where state = 'queued';
-- At most one running job per model and stream: two workers never walk the same stream.
create unique index sync_jobs_one_running_key on public.sync_jobs (model_id, sync_type) where state = 'running';
-- One dead job per model and stream: trouble is seen once, not once per tick.
create unique index sync_jobs_one_dead_key on public.sync_jobs (model_id, sync_type) where state = 'dead';
create index sync_jobs_pick_idx on public.sync_jobs (agency_id, priority, run_at, id) where state = 'queued';
-- Whether anything is due, and when the next is: one probe each, before any lane is looked at.
create index sync_jobs_run_at_idx on public.sync_jobs (run_at) where state = 'queued';
-- Whole, not partial: an index that looks empty is chosen for look-ups that it does not serve, and then walked from end to end.
create index sync_jobs_agency_id_lease_id_idx on public.sync_jobs (agency_id, lease_id);
create index sync_jobs_claim_id_idx on public.sync_jobs (claim_id) where claim_id is not null;

create or replace function private.recount_lane()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.queue_lanes l set oldest_lease = 0 where l.agency_id = new.agency_id;
  return null;
end
$$;
comment on function private.recount_lane() is
  'A running job that moves to another agency counts against that one''s cap, however old its lease.';
revoke all on function private.recount_lane() from public, anon, authenticated;
create trigger sync_jobs_recount_lane
  after update of agency_id on public.sync_jobs
  for each row when (new.lease_id is not null and new.agency_id <> old.agency_id)
  execute function private.recount_lane();

create table public.sync_runs (
  id bigint generated always as identity primary key,
  job_id bigint not null,
  lease_id bigint,
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  sync_type text not null,
  state text not null,
  attempt smallint not null,
  pages integer not null default 0,
  requests integer not null default 0,
  rows_inserted integer not null default 0,
  rows_updated integer not null default 0,
  rows_unchanged integer not null default 0,
  throttled integer not null default 0,
  waited_ms bigint not null default 0,
  queued_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz not null,
  worker text,
  error jsonb,
  member_error jsonb generated always as (private.member_error(error)) stored,
  detail jsonb not null default '{}',
  constraint sync_runs_state_check check (state in ('succeeded', 'partial', 'failed', 'cancelled'))
);
comment on table public.sync_runs is
  'History: one row per finished job that is worth one: news, failures, partial results, history read, what a person asked for. Polls without news are counted in private.quiet_runs. '
  'succeeded only when every page up to the declared end was read.';
comment on column public.sync_runs.job_id is 'The job''s id while it was in sync_jobs.';
comment on column public.sync_runs.lease_id is 'The lease under which it ended; null when nobody held it.';
comment on column public.sync_runs.state is 'succeeded, partial (the walk goes on in another job), failed, or cancelled.';
comment on column public.sync_runs.queued_at is 'When the job was put into the queue.';
comment on column public.sync_runs.requests is 'Calls to Fanvue, retries included.';
comment on column public.sync_runs.throttled is 'Answers 429 among them.';
comment on column public.sync_runs.waited_ms is 'Milliseconds spent waiting for the rate budget.';
comment on column public.sync_runs.detail is 'Anything worth reading beside the counters: the walk''s kind and window, the job''s cause, and details that records were read without.';
comment on column public.sync_runs.error is 'Why it ended as it did, in full. Operators only.';
comment on column public.sync_runs.member_error is 'What members are told of error, as in sync_state.';
create index sync_runs_model_id_sync_type_finished_at_idx on public.sync_runs (model_id, sync_type, finished_at desc);
create index sync_runs_agency_id_finished_at_idx on public.sync_runs (agency_id, finished_at desc);
create index sync_runs_state_finished_at_idx on public.sync_runs (state, finished_at);
create index sync_runs_job_id_idx on public.sync_runs (job_id);

-- Rate budgets and schedule ----------------------------------------------------------------------------

-- Fanvue's headers speak of an endpoint. Endpoints that are told the same limit share one count: mostly it is one limit for all.
create table private.api_budgets (
  bucket text not null,
  max_calls integer not null default 100 check (max_calls > 0),
  window_seconds integer not null default 60 check (window_seconds between 1 and 600),
  head_s bigint not null default 0,
  slots integer[] not null default '{}',
  seen_at timestamptz,
  primary key (bucket, max_calls)
) with (fillfactor = 50);
comment on table private.api_budgets is
  'One row per rate-limit bucket of Fanvue and limit that is in force in it: an exact sliding window in one-second slots, shared by all workers. A call counts under its endpoint''s limit and under every larger one.';
comment on column private.api_budgets.bucket is 'user:<creator uuid> for a creator''s own grant.';
comment on column private.api_budgets.max_calls is 'Calls per window: 100 until a response header says otherwise.';
comment on column private.api_budgets.slots is 'Calls granted per second; the last element is second head_s.';
comment on column private.api_budgets.seen_at is 'When a response header last told this limit.';
revoke all on private.api_budgets from public, anon, authenticated;
grant select, insert, update, delete on private.api_budgets to service_role;

create table private.api_endpoints (
  bucket text not null,
  endpoint text not null,
  max_calls integer check (max_calls > 0),
  blocked_until timestamptz not null default '-infinity',
  blocked_since timestamptz not null default '-infinity',
  stops text[] not null default '{}',
  probed_at timestamptz not null default '-infinity',
  primary key (bucket, endpoint)
) with (fillfactor = 80);
create index api_endpoints_blocked_until_idx on private.api_endpoints (blocked_until);
comment on table private.api_endpoints is 'What Fanvue said of each endpoint of a bucket: its limit, and until when it refuses.';
comment on column private.api_endpoints.endpoint is 'The path without its family and without the creator, as /chats/{uuid}/messages. Empty: the whole bucket.';
comment on column private.api_endpoints.max_calls is 'The limit that its headers last told; it names the count in api_budgets. Null: not told yet, so it counts under the largest limit of its bucket.';
comment on column private.api_endpoints.blocked_until is 'After a 429 nobody calls it before then.';
comment on column private.api_endpoints.blocked_since is
  'When the first of its blocks began that followed each other within five minutes: short ones without end are no daily bread.';
comment on column private.api_endpoints.stops is 'Streams that are not claimed while it is blocked: those that cannot go on without it.';
comment on column private.api_endpoints.probed_at is
  'When a call was last let through to learn the limit, because the only limit known was a small one of other endpoints.';
revoke all on private.api_endpoints from public, anon, authenticated;
grant select, insert, update, delete on private.api_endpoints to service_role;

create table private.scheduler_ticks (
  source text primary key,
  last_tick_at timestamptz not null,
  last_enqueued integer not null,
  ticks bigint not null default 1
);
comment on table private.scheduler_ticks is 'Who ticked last: pg_cron, and each worker''s own scheduler. An old last_tick_at means that scheduler stopped.';
revoke all on private.scheduler_ticks from public, anon, authenticated;
grant select, insert, update on private.scheduler_ticks to service_role;

-- Webhook inbox ----------------------------------------------------------------------------------------

create table public.webhook_events (
  id uuid primary key default gen_random_uuid(),
  event_id text not null,
  topic text not null,
  agency_id uuid references public.agencies (id) on delete cascade,
  model_id uuid references public.models (id) on delete set null,
  creator_uuid text,
  payment_id text,
  transaction_id uuid references public.fanvue_transactions (id) on delete set null,
  payload jsonb,
  status text not null,
  error text,
  received_at timestamptz not null default now(),
  applied_at timestamptz,
  attempts smallint not null default 0,
  retry_at timestamptz,
  -- two creators' events may bear one id; those that name no creator share theirs
  constraint webhook_events_event_id_key unique nulls not distinct (event_id, creator_uuid),
  constraint webhook_events_status_check check (status in ('applied', 'duplicate_of_api', 'ignored', 'parked', 'failed')),
  -- what may be applied again is kept as it came
  constraint webhook_events_payload_check check (payload is not null or status in ('applied', 'duplicate_of_api'))
  -- payloads are emptied and rows deleted all day long: the room of old versions is used again before there is much of it
) with (autovacuum_vacuum_scale_factor = 0.05);
comment on table public.webhook_events is 'Every signed event Fanvue sent, kept with what became of it. Nothing signed is dropped. Members see that it came and what became of it, not what it said.';
comment on column public.webhook_events.event_id is 'Fanvue''s event id, or a hash of the body where it sends none: the same event of one creator arrives once.';
comment on column public.webhook_events.payload is 'The event as Fanvue sent it (above 64 kB or twelve levels: what the engine reads of it), without texts of messages and without erased fans; empty when an applied one is older than private.retention keeps it. Members cannot read it.';
comment on column public.webhook_events.attempts is 'How often it was tried to apply the event.';
comment on column public.webhook_events.retry_at is 'When a failed event is tried again; null: only a person can tell what is to be done.';
comment on column public.webhook_events.status is
  'applied, duplicate_of_api (the ledger had it), ignored (no meaning for us, or set aside with ops.ignore_webhook), parked (unknown creator; applied when they connect), failed (not in the books: see error).';
comment on column public.webhook_events.topic is 'Fanvue''s event type; legacy bodies without one get the type that their fields tell.';
comment on column public.webhook_events.applied_at is 'When the ledger took it, at once or by a replay.';
comment on column public.webhook_events.creator_uuid is 'The creator the event is about; a parked event waits for them to connect.';
comment on column public.webhook_events.payment_id is 'Fanvue''s number of the payment, refund or dispute: money announced twice under one number is one row.';
comment on column public.webhook_events.transaction_id is 'The ledger row that this event made or was matched to; no second event may claim it.';
create index webhook_events_transaction_id_idx on public.webhook_events (transaction_id) where transaction_id is not null;
-- the model as text, so that a probe by both has this index alone, whatever the statistics say
create index webhook_events_payment_id_model_id_idx on public.webhook_events (payment_id, (model_id::text)) where payment_id is not null;
create index webhook_events_parked_idx on public.webhook_events (creator_uuid) where status = 'parked';
create index webhook_events_status_received_at_idx on public.webhook_events (status, received_at);
-- what pruning looks for, and no more than it has yet to find
create index webhook_events_payload_idx on public.webhook_events (received_at) where status in ('applied', 'duplicate_of_api') and payload is not null;
create index webhook_events_no_money_idx on public.webhook_events (received_at) where status = 'applied' and transaction_id is null;
create index webhook_events_model_id_idx on public.webhook_events (model_id);
create index webhook_events_agency_id_idx on public.webhook_events (agency_id);
create index webhook_events_creator_uuid_retry_at_idx on public.webhook_events (creator_uuid, retry_at) where retry_at is not null;

-- Row security -----------------------------------------------------------------------------------------

alter table public.sync_state enable row level security;
alter table public.sync_jobs enable row level security;
alter table public.sync_runs enable row level security;
alter table public.webhook_events enable row level security;

revoke all on public.sync_state, public.sync_jobs, public.sync_runs, public.webhook_events from public, anon, authenticated;
-- not what an event said, and not why it failed: both may name a fan
grant select (id, event_id, topic, agency_id, model_id, transaction_id, status, received_at, applied_at) on public.webhook_events to authenticated;
-- Members read what is listed here. Left out is what quotes Fanvue or the network (errors, notes, replies), and what names workers.
grant select (id, agency_id, model_id, sync_type, last_cursor, last_sync_at, next_sync_at, last_success_at, high_water, consecutive_failures,
              quiet_runs, member_error, version, full_requested, requested_at, last_full_at, last_deep_at, shrink_accepted_at, whole_after,
              walk_id, walk_kind, walk_phase, walk_mode, walk_started_at, walk_floor, walk_ceiling, walk_position, walk_newest,
              walk_pages, walk_rows, walk_changed)
  on public.sync_state to authenticated;
grant select (id, agency_id, model_id, sync_type, state, priority, run_at, created_at, claimed_at, lease_until, attempt, max_attempts,
              cancel_requested, pages, requests, rows_inserted, rows_updated, rows_unchanged, cause, progress, member_error)
  on public.sync_jobs to authenticated;
grant select (id, job_id, agency_id, model_id, sync_type, state, attempt, pages, requests, rows_inserted, rows_updated, rows_unchanged,
              throttled, waited_ms, queued_at, started_at, finished_at, member_error)
  on public.sync_runs to authenticated;
grant all on public.sync_state, public.sync_jobs, public.sync_runs, public.webhook_events to service_role;

-- What a hosted project grants on new sequences is taken back too.
revoke all on sequence public.sync_jobs_id_seq, public.sync_runs_id_seq from public, anon, authenticated;

create policy "members see their agency's sync state" on public.sync_state
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their agency's jobs" on public.sync_jobs
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their agency's runs" on public.sync_runs
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their agency's webhook events" on public.webhook_events
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
