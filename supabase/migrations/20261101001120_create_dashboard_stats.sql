-- Purpose: an agency's dashboard as one object: totals, comparison, creators, days, categories, top fans, audience.
-- Who may call: members of the agency, with their own rights, and service_role.
-- Locks: none.

create or replace function private.require_days(p_from date, p_to date)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_from is null or p_to is null then
    raise exception 'give both days, p_from and p_to' using errcode = '22023';
  elsif p_from < date '1970-01-01' or p_to > date '9999-12-31' or p_from > date '9999-12-31' then
    raise exception 'give days between 1970-01-01 and 9999-12-31' using errcode = '22023';
  elsif p_from > p_to then
    raise exception 'p_from is after p_to: give the earlier day first' using errcode = '22023';
  elsif p_to - p_from >= 1100 then
    raise exception 'that is % days: ask for at most 1,100 at a time', p_to - p_from + 1 using errcode = '22023';
  end if;
end
$$;
comment on function private.require_days(date, date) is 'Raises 22023 unless these are the first and last of at most 1,100 days.';
revoke all on function private.require_days(date, date) from public, anon, authenticated;
grant execute on function private.require_days(date, date) to authenticated, service_role;

create or replace function public.dashboard_stats(p_agency_id uuid, p_from date, p_to date)
returns jsonb
language plpgsql
stable
set search_path = ''
set timezone = 'UTC'
set jit = off
-- a plan from when the tables were short reads them whole, or again and again
set enable_seqscan = off
set enable_nestloop = off
as $$
declare
  v_before date;
begin
  perform private.require_agency(p_agency_id);
  perform private.require_days(p_from, p_to);
  v_before := p_from - (p_to - p_from + 1);
  -- Stable: stamp and figures are read in the one snapshot of the caller's statement.
  return (
    with creators as materialized (
      select m.id, m.handle, m.display_name, m.status
      from public.models m
      where m.agency_id = p_agency_id
    ), cells as materialized (
      select e.model_id, e.day, e.category, e.gross, e.net, e.transactions
      from public.earnings_daily e
      join creators c on c.id = e.model_id
      where e.agency_id = p_agency_id and e.day between p_from and p_to
    ), earlier as materialized (
      select e.model_id, sum(e.gross) as gross, sum(e.net) as net, sum(e.transactions) as transactions
      from public.earnings_daily e
      join creators c on c.id = e.model_id
      where e.agency_id = p_agency_id and e.day between v_before and p_from - 1
      group by e.model_id
    ), model_sums as (
      select x.model_id, sum(x.gross) as gross, sum(x.net) as net, sum(x.transactions) as transactions
      from cells x
      group by x.model_id
    ), category_sums as (
      select x.category, sum(x.gross) as gross, sum(x.net) as net, sum(x.transactions) as transactions
      from cells x
      group by x.category
    ), day_sums as (
      select x.day, sum(x.gross) as gross, sum(x.net) as net, sum(x.transactions) as transactions,
             jsonb_object_agg(x.category, x.gross::text) as categories
      from (
        select y.day, y.category, sum(y.gross) as gross, sum(y.net) as net, sum(y.transactions) as transactions
        from cells y
        group by y.day, y.category
      ) x
      group by x.day
    ), snapshots as materialized (
      -- A creator whose top fans were not read for a week has none; what came after the period does not count.
      select c.id as model_id,
             (select max(t.day) from public.fanvue_top_fans t
              where t.model_id = c.id and t.agency_id = p_agency_id and t.day between p_to - 7 and p_to) as day
      from creators c
    ), spenders as (
      select t.model_id, t.fan_uuid, t.handle, t.display_name, t.gross, t.net, t.day
      from snapshots s
      -- fenced, so that it is one probe of the key per model
      join lateral (
        select x.* from public.fanvue_top_fans x where x.model_id = s.model_id and x.day = s.day and x.agency_id = p_agency_id offset 0
      ) t on true
      order by t.gross desc, t.net desc, t.model_id, t.fan_uuid
      limit 10
    ), audience as (
      select c.id as model_id, c.handle, a.subscribers, a.followers
      from creators c
      left join public.fanvue_accounts a on a.model_id = c.id and a.agency_id = p_agency_id
    ), provisional as materialized (
      select t.amount, t.sent_currency, t.sent_minor_units
      from creators c
      -- fenced too: the partial index of these few rows is taken, never the ledger's
      join lateral (
        select x.amount, x.sent_currency, x.sent_minor_units
        from public.fanvue_transactions x
        -- the agency as text, so that no index of all its sales is taken for the few that only webhooks told of
        where x.model_id = c.id and x.agency_id::text = p_agency_id::text and x.origin = 'webhook'
          and x.fanvue_created_at >= p_from::timestamp at time zone 'UTC'
          and x.fanvue_created_at < (p_to + 1)::timestamp at time zone 'UTC'
        offset 0
      ) t on true
    )
    select jsonb_build_object(
      'agency_id', p_agency_id, 'from', p_from, 'to', p_to, 'currency', 'USD',
      'stamp', private.stats_stamp(p_agency_id),
      'as_of', private.engine_now(),
      'freshness', private.stats_freshness(p_agency_id),
      'totals', (
        select jsonb_build_object('gross', coalesce(sum(s.gross), 0.00)::text, 'net', coalesce(sum(s.net), 0.00)::text,
                                  'transactions', coalesce(sum(s.transactions), 0))
        from model_sums s),
      'previous', (
        select jsonb_build_object('from', v_before, 'to', p_from - 1,
                                  'gross', coalesce(sum(s.gross), 0.00)::text, 'net', coalesce(sum(s.net), 0.00)::text,
                                  'transactions', coalesce(sum(s.transactions), 0))
        from earlier s),
      'by_category', (
        select coalesce(jsonb_agg(
                 jsonb_build_object('category', s.category, 'gross', s.gross::text, 'net', s.net::text, 'transactions', s.transactions)
                 order by abs(s.gross) desc, s.category), '[]'::jsonb)
        from category_sums s),
      'by_model', (
        select coalesce(jsonb_agg(
                 jsonb_build_object('model_id', c.id, 'handle', c.handle, 'display_name', c.display_name, 'status', c.status,
                                    'gross', coalesce(s.gross, 0.00)::text, 'net', coalesce(s.net, 0.00)::text,
                                    'transactions', coalesce(s.transactions, 0),
                                    'previous_gross', coalesce(e.gross, 0.00)::text)
                 order by coalesce(s.gross, 0) desc, c.handle, c.id), '[]'::jsonb)
        from creators c
        left join model_sums s on s.model_id = c.id
        left join earlier e on e.model_id = c.id),
      'by_day', (
        select jsonb_agg(
                 jsonb_build_object('day', d.day, 'gross', coalesce(s.gross, 0.00)::text, 'net', coalesce(s.net, 0.00)::text,
                                    'transactions', coalesce(s.transactions, 0), 'categories', coalesce(s.categories, '{}'::jsonb))
                 order by d.day)
        from (select p_from + n as day from generate_series(0, p_to - p_from) n) d
        left join day_sums s on s.day = d.day),
      'top_fans', (
        select coalesce(jsonb_agg(
                 jsonb_build_object('model_id', t.model_id, 'fan_uuid', t.fan_uuid, 'handle', t.handle,
                                    'display_name', t.display_name, 'gross', t.gross::text, 'net', t.net::text, 'day', t.day)
                 order by t.gross desc, t.net desc, t.model_id, t.fan_uuid), '[]'::jsonb)
        from spenders t),
      'audience', (
        select jsonb_build_object(
                 'subscribers', sum(a.subscribers), 'followers', sum(a.followers),
                 'models', coalesce(jsonb_agg(
                   jsonb_build_object('model_id', a.model_id, 'subscribers', a.subscribers, 'followers', a.followers)
                   order by a.handle, a.model_id), '[]'::jsonb))
        from audience a),
      'unconfirmed', (
        select jsonb_build_object(
                 'transactions', count(*), 'amount', coalesce(sum(p.amount), 0.00)::text,
                 'other_currencies', (
                   select coalesce(jsonb_agg(to_jsonb(o) order by o.currency), '[]'::jsonb)
                   from (select q.sent_currency as currency, sum(q.sent_minor_units) as minor_units, count(*) as transactions
                         from provisional q
                         where q.sent_currency is not null
                         group by q.sent_currency) o))
        from provisional p)));
end
$$;
comment on function public.dashboard_stats(uuid, date, date) is
  'An agency''s dashboard from p_from to p_to, UTC days, both ends included: totals, the same number of days before, by category, '
  'model and day, top fans (each model''s newest snapshot of the eight days that end with p_to), audience as Fanvue counts it, and sales that '
  'only webhooks told of. Money is text, US dollars; reads rollups, never the ledger. stamp is that of stats_head. '
  'Errors: 42501 not a member, 22023 no days, reversed, or more than 1,100.';
revoke all on function public.dashboard_stats(uuid, date, date) from public, anon, authenticated;
grant execute on function public.dashboard_stats(uuid, date, date) to authenticated, service_role;
