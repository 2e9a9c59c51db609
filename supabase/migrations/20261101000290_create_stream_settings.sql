-- Purpose: what is polled how often: one row of defaults per stream, overridable per agency and per model.
-- Who may call: operators edit the tables in Studio; service_role reads them.
-- Locks: a change of settings updates the schedule (sync_state.next_sync_at) of the streams concerned.

create table private.sync_streams (
  sync_type text primary key,
  enabled boolean not null default true,
  on_demand boolean not null default false,
  every interval not null check (every >= interval '1 minute'),
  slow_after integer not null default 24 check (slow_after > 0),
  slowest interval not null default interval '4 hours',
  priority smallint not null default 50,
  lookback_min interval not null default interval '15 minutes',
  lookback_max interval not null default interval '30 days',
  lookback_rows integer not null default 40 check (lookback_rows between 1 and 50),
  deep_every interval not null default interval '1 day',
  deep_lookback interval not null default interval '35 days',
  aside_every interval not null default interval '1 hour',
  most_ended_share numeric not null default 0.2 check (most_ended_share between 0 and 1),
  keep_text boolean not null default true
);
comment on table private.sync_streams is
  'Settings of each stream: how often it is polled and how far back a poll looks. Edit rows in Studio; the next tick obeys. private.sync_overrides changes some of them for one agency or model.';
comment on column private.sync_streams.enabled is 'Whether the stream is synced at all.';
comment on column private.sync_streams.on_demand is 'Not polled: runs when another stream leaves work for it.';
comment on column private.sync_streams.every is 'Interval between polls. Each model has its own phase inside it, by a hash of its id.';
comment on column private.sync_streams.slow_after is
  'After so many polls in a row without news the interval doubles with each further one, up to slowest. News, a webhook or "sync now" bring it back.';
comment on column private.sync_streams.slowest is 'The longest interval of a stream that finds nothing.';
comment on column private.sync_streams.priority is 'Smaller goes first: up to 20 live, up to 60 normal, up to 120 backfill, above that low.';
comment on column private.sync_streams.lookback_min is 'A poll always re-reads at least this much before the high-water mark.';
comment on column private.sync_streams.lookback_max is 'A poll never re-reads more than this on the strength of lookback_rows.';
comment on column private.sync_streams.lookback_rows is
  'A poll reaches back to the model''s n-th newest row: a page holds 50 rows and costs one call, so looking back inside it is free.';
comment on column private.sync_streams.deep_every is
  'How often a poll re-reads deep_lookback, for late rows and status changes; for lists of fans and posts, how often they are read to their end.';
comment on column private.sync_streams.deep_lookback is 'How far back the long look-back reaches.';
comment on column private.sync_streams.aside_every is 'How often reversals are read where Fanvue keeps them apart (the unversioned API).';
comment on column private.sync_streams.most_ended_share is
  'A list that would end more than this share of the known fans (and more than five) is not believed: nobody is ended, the run is partial, ops.accept_shrink decides.';
comment on column private.sync_streams.keep_text is
  'messages: whether texts are stored. Off: only who, when, type and price. ops.erase_message_texts removes what is there already.';
revoke all on private.sync_streams from public, anon, authenticated;
grant select, insert, update on private.sync_streams to service_role;

insert into private.sync_streams (sync_type, every, slowest, priority, on_demand, lookback_min) values
  ('earnings', interval '15 minutes', interval '1 hour', 10, false, interval '15 minutes'),
  ('messages', interval '5 minutes', interval '30 minutes', 10, false, interval '10 minutes'),
  ('message_history', interval '1 day', interval '1 day', 100, true, interval '0'),
  ('subscribers', interval '30 minutes', interval '2 hours', 50, false, interval '0'),
  ('followers', interval '30 minutes', interval '2 hours', 50, false, interval '0'),
  ('posts', interval '60 minutes', interval '4 hours', 50, false, interval '0'),
  ('top_fans', interval '60 minutes', interval '4 hours', 50, false, interval '0'),
  ('account', interval '60 minutes', interval '4 hours', 50, false, interval '0');

create table private.sync_overrides (
  id bigint generated always as identity primary key,
  agency_id uuid references public.agencies (id) on delete cascade,
  model_id uuid references public.models (id) on delete cascade,
  sync_type text not null references private.sync_streams (sync_type),
  enabled boolean,
  every interval check (every >= interval '1 minute'),
  slowest interval,
  priority smallint,
  most_ended_share numeric check (most_ended_share between 0 and 1),
  keep_text boolean,
  note text,
  constraint sync_overrides_whose_check check (num_nonnulls(agency_id, model_id) = 1),
  constraint sync_overrides_whose_key unique nulls not distinct (agency_id, model_id, sync_type)
);
comment on table private.sync_overrides is
  'Settings of one agency''s or one model''s stream where they differ from private.sync_streams; a model''s go before its agency''s. Empty columns inherit.';
comment on column private.sync_overrides.agency_id is 'The agency whose models are meant; empty when the row is for one model.';
comment on column private.sync_overrides.model_id is 'The one model that is meant; empty when the row is for an agency.';
comment on column private.sync_overrides.enabled is 'See private.sync_streams.';
comment on column private.sync_overrides.every is 'See private.sync_streams.';
comment on column private.sync_overrides.slowest is 'See private.sync_streams.';
comment on column private.sync_overrides.priority is 'See private.sync_streams.';
comment on column private.sync_overrides.most_ended_share is 'See private.sync_streams.';
comment on column private.sync_overrides.keep_text is 'See private.sync_streams.';
comment on column private.sync_overrides.note is 'Why, for the next operator.';
create index sync_overrides_model_id_idx on private.sync_overrides (model_id);
create index sync_overrides_sync_type_idx on private.sync_overrides (sync_type);
revoke all on private.sync_overrides from public, anon, authenticated;
grant select, insert, update, delete on private.sync_overrides to service_role;

-- PL/pgSQL: its plan lasts for the session; a function in SQL that is called by another is planned anew at every call.
create or replace function private.stream_settings(p_agency_id uuid, p_model_id uuid, p_sync_type text)
returns private.sync_streams
language plpgsql
stable
set search_path = ''
as $$
declare
  v_settings private.sync_streams;
begin
  select t.sync_type, coalesce(m.enabled, a.enabled, t.enabled), t.on_demand, coalesce(m.every, a.every, t.every), t.slow_after,
         coalesce(m.slowest, a.slowest, t.slowest), coalesce(m.priority, a.priority, t.priority), t.lookback_min, t.lookback_max,
         t.lookback_rows, t.deep_every, t.deep_lookback, t.aside_every,
         coalesce(m.most_ended_share, a.most_ended_share, t.most_ended_share), coalesce(m.keep_text, a.keep_text, t.keep_text)
  into v_settings
  from private.sync_streams t
  left join private.sync_overrides a on a.agency_id = p_agency_id and a.sync_type = t.sync_type
  left join private.sync_overrides m on m.model_id = p_model_id and m.sync_type = t.sync_type
  where t.sync_type = p_sync_type;
  return v_settings;
end
$$;
comment on function private.stream_settings(uuid, uuid, text) is
  'The settings in force for one model''s stream: the model''s own over its agency''s over the defaults. All null when there is no such stream.';
revoke all on function private.stream_settings(uuid, uuid, text) from public, anon, authenticated;
grant execute on function private.stream_settings(uuid, uuid, text) to service_role;

create or replace function private.is_switched_on(p_model public.models, p_sync_type text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- what is no polled stream, as the nightly proof, has no switch
  return coalesce((private.stream_settings(p_model.agency_id, p_model.id, p_sync_type)).enabled, true);
end
$$;
comment on function private.is_switched_on(public.models, text) is 'Whether a stream of a model is read at all: for everybody, for its agency, for itself.';
revoke all on function private.is_switched_on(public.models, text) from public, anon, authenticated;
grant execute on function private.is_switched_on(public.models, text) to service_role;

create or replace function private.current_interval(p_settings private.sync_streams, p_quiet_runs integer)
returns interval
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when p_quiet_runs < p_settings.slow_after then p_settings.every
              else least(greatest(p_settings.slowest, p_settings.every),
                         p_settings.every * (2 ^ least(p_quiet_runs - p_settings.slow_after + 1, 12))) end;
end
$$;
comment on function private.current_interval(private.sync_streams, integer) is 'How long until the next poll of a stream that found nothing so many times in a row.';
revoke all on function private.current_interval(private.sync_streams, integer) from public, anon, authenticated;
grant execute on function private.current_interval(private.sync_streams, integer) to service_role;
