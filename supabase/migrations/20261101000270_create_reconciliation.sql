-- Purpose: what the nightly proof of the money remembers: its settings, how far each model's run is, and what it found.
-- Who may call: members read their agency's findings; only service_role writes.
-- Locks: none on existing tables.

create table private.reconcile_settings (
  singleton boolean primary key default true check (singleton),
  days integer not null default 35 check (days between 1 and 366),
  older_months boolean not null default true,
  spread interval not null default interval '4 hours' check (spread between interval '0' and interval '20 hours'),
  settle_after interval not null default interval '20 minutes',
  unconfirmed_after interval not null default interval '2 hours',
  last_night_at timestamptz not null default now()
);
comment on table private.reconcile_settings is 'One row: how the money is proved each night. Edit it in Studio; the next night obeys.';
comment on column private.reconcile_settings.days is 'So many days are read again completely every night.';
comment on column private.reconcile_settings.older_months is 'Whether each night also reads one older month again, all of history in turn.';
comment on column private.reconcile_settings.spread is 'The night''s runs begin within this time, each model at its own moment.';
comment on column private.reconcile_settings.settle_after is
  'What is younger is not judged: Fanvue''s summary is up to ten minutes old, and rows are listed late.';
comment on column private.reconcile_settings.unconfirmed_after is 'A sale that only a webhook announced may wait so long for the API''s row before it is reported.';
comment on column private.reconcile_settings.last_night_at is 'When a night was last begun, by pg_cron or, if that stopped, by a scheduling tick.';
revoke all on private.reconcile_settings from public, anon, authenticated;
grant select, insert, update on private.reconcile_settings to service_role;
insert into private.reconcile_settings default values;

create table private.reconciliations (
  model_id uuid primary key references public.models (id) on delete cascade,
  version bigint not null default 0,
  requested_days integer,
  run_id uuid,
  days integer,
  ranges jsonb not null default '[]',
  todo jsonb not null default '[]',
  place jsonb not null default '{}',
  border uuid[] not null default '{}',
  notes jsonb not null default '{}',
  started_at timestamptz,
  news_from timestamptz,
  ceiling timestamptz,
  pages integer not null default 0,
  listed integer not null default 0,
  inserted integer not null default 0,
  changed integer not null default 0,
  older_month date,
  history_from timestamptz,
  last_proved_at timestamptz,
  last_page_key text,
  last_page_reply jsonb
) with (fillfactor = 70);
comment on table private.reconciliations is
  'How far each model''s reconciliation is: the open run, resumable at any page, and which older month comes next. There is a row from a model''s first day with a grant.';
comment on column private.reconciliations.version is 'Grows with every commit; a page commits only on the version it read.';
comment on column private.reconciliations.requested_days is 'A person asked for so many days; the next run reads exactly these.';
comment on column private.reconciliations.run_id is 'The open run; null between runs.';
comment on column private.reconciliations.ranges is 'The ranges that the open run proves: [{start, end}], end null is open.';
comment on column private.reconciliations.todo is 'The lists that are still to be read, the first one being read.';
comment on column private.reconciliations.place is 'Where the first list of todo stands: mode, cursor, position.';
comment on column private.reconciliations.border is 'Ledger rows at the place, so that a second row under one id is told from a repeat.';
comment on column private.reconciliations.news_from is 'What is newer was not yet due to be in the ledger when the run began: its arrival mends nothing.';
comment on column private.reconciliations.ceiling is 'Fanvue''s clock at the run''s first page.';
comment on column private.reconciliations.older_month is 'The older month that was proved last; the one before it is next, after the first one the newest.';
comment on column private.reconciliations.history_from is 'The oldest row ever held: months are taken in turn from here on, even if it is lost.';
comment on column private.reconciliations.last_proved_at is 'When a run last read all of its ranges to their ends.';
create index reconciliations_last_proved_at_idx on private.reconciliations (last_proved_at);
revoke all on private.reconciliations from public, anon, authenticated;
grant select, insert, update, delete on private.reconciliations to service_role;

create table private.reconciliation_pages (
  model_id uuid not null references private.reconciliations (model_id) on delete cascade,
  run_id uuid not null,
  version bigint not null,
  listed uuid[] not null,
  primary key (model_id, run_id, version)
);
comment on table private.reconciliation_pages is 'Which ledger rows each page of an open run stood for. Emptied when the run ends.';
revoke all on private.reconciliation_pages from public, anon, authenticated;
grant select, insert, delete on private.reconciliation_pages to service_role;

create table public.reconciliation_findings (
  id bigint generated always as identity primary key,
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  kind text not null,
  state text not null default 'open',
  subject text not null,
  run_id uuid,
  day date not null,
  category text,
  what text,
  changed_columns text[] not null default '{}',
  transactions integer not null default 1,
  transaction_id uuid,
  fanvue_id text,
  happened_at timestamptz,
  ledger_gross numeric(16, 2),
  ledger_net numeric(16, 2),
  fanvue_gross numeric(16, 2),
  fanvue_net numeric(16, 2),
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  resolved_at timestamptz,
  accepted_note text,
  constraint reconciliation_findings_model_id_kind_subject_key unique (model_id, kind, subject),
  constraint reconciliation_findings_kind_check check (kind in ('mended', 'not_listed', 'unconfirmed', 'summary', 'agency')),
  constraint reconciliation_findings_state_check check (state in ('mended', 'open', 'resolved', 'accepted'))
);
comment on table public.reconciliation_findings is
  'What reading the money again found: what was mended (per run, day, category), and drift that only a person can judge. Money is never deleted.';
comment on column public.reconciliation_findings.kind is
  'mended: the ledger was put right. not_listed: a ledger row that Fanvue does not list. unconfirmed: a webhook''s sale that the API never '
  'listed. summary: a day''s net differs from Fanvue''s summary. agency: a day''s net differs from Fanvue''s agency report.';
comment on column public.reconciliation_findings.state is
  'mended: over. open: drift that stands. resolved: a later run no longer saw it. accepted: an operator closed it with ops.accept_drift.';
comment on column public.reconciliation_findings.subject is 'What it is about: the same drift seen again is the same finding.';
comment on column public.reconciliation_findings.run_id is 'The run that saw it last.';
comment on column public.reconciliation_findings.category is 'The category of the rows, as Fanvue lists them; null where a whole day is meant.';
comment on column public.reconciliation_findings.what is 'Of mended rows: inserted (they were missing) or changed (their values were wrong).';
comment on column public.reconciliation_findings.changed_columns is 'Of changed rows: which columns were wrong.';
comment on column public.reconciliation_findings.transactions is 'How many ledger rows it is about.';
comment on column public.reconciliation_findings.transaction_id is 'The ledger row it is about, if it is one. It may be gone by now.';
comment on column public.reconciliation_findings.fanvue_id is 'That row''s fanvue_id.';
comment on column public.reconciliation_findings.happened_at is 'That row''s instant, or the day''s beginning.';
comment on column public.reconciliation_findings.ledger_gross is 'What the ledger said, US dollars: before the mending, or still.';
comment on column public.reconciliation_findings.ledger_net is 'The same after fees.';
comment on column public.reconciliation_findings.fanvue_gross is 'What Fanvue says, US dollars. Its meaning differs between API families: information only in the kinds summary and agency.';
comment on column public.reconciliation_findings.fanvue_net is 'The same after fees: this is what days are judged by.';
comment on column public.reconciliation_findings.first_seen_at is 'When it was first found.';
comment on column public.reconciliation_findings.last_seen_at is 'When a run last found it.';
comment on column public.reconciliation_findings.resolved_at is 'When it was over: mended, no longer seen, or accepted.';
comment on column public.reconciliation_findings.accepted_note is 'The operator''s words on an accepted drift.';
create index reconciliation_findings_agency_id_day_idx on public.reconciliation_findings (agency_id, day);
create index reconciliation_findings_open_idx on public.reconciliation_findings (model_id, happened_at) where state = 'open';
create index reconciliation_findings_run_id_idx on public.reconciliation_findings (run_id);
create index reconciliation_findings_resolved_at_idx on public.reconciliation_findings (resolved_at) where resolved_at is not null;

alter table public.reconciliation_findings enable row level security;
revoke all on public.reconciliation_findings from public, anon, authenticated, service_role;
grant select on public.reconciliation_findings to authenticated;
grant all on public.reconciliation_findings to service_role;
revoke all on sequence public.reconciliation_findings_id_seq from public, anon, authenticated;
create policy "members see their agency's findings" on public.reconciliation_findings
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
