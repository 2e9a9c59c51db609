-- Purpose: what `fanvue-sync status` says first: the questions of ops.health that want attention, each with the first remedy.
-- Who may call: service_role (the command line). Locks: none. Cost: ops.health, and one row of each view that it points to.

create or replace function public.engine_attention()
returns jsonb
language sql
stable
set search_path = ''
as $$
  with asked as materialized (
    select h.*, row_number() over () as place from ops.health h
  )
  select coalesce(jsonb_agg(jsonb_build_object(
           'question', t.question, 'what', t.answer, 'remedy', coalesce(r.remedy, 'see what stands there'), 'where_to_look', t.where_to_look)
           order by t.place), '[]'::jsonb)
  from asked t
  left join lateral (
    -- the views are in the order in which an operator goes through them
    select case t.where_to_look
      when 'ops.late' then (select l.remedy from ops.late l where not l.deliberate and l.cause not in ('tried_now', 'reauth_required') limit 1)
      when 'ops.running' then (select coalesce((select x.to_stop_it from ops.running x where x.lease_left like 'ended%' limit 1), 'start a worker: fanvue-sync run'))
      when 'ops.schedule_health' then (select s.remedy from ops.schedule_health s where s.remedy is not null limit 1)
      when 'ops.reconnect' then (select c.remedy from ops.reconnect c limit 1)
      when 'ops.dead_jobs' then (select d.remedy from ops.dead_jobs d limit 1)
      when 'ops.webhooks_waiting' then (select w.remedy from ops.webhooks_waiting w where w.remedy is not null limit 1)
      when 'ops.announcements' then (select w.remedy from ops.announcements w where w.state = 'attention' limit 1)
      when 'ops.unproved' then (select u.remedy from ops.unproved u limit 1)
      when 'ops.drift' then coalesce((select f.what_to_do from ops.drift f limit 1), 'prove the money now: fanvue-sync reconcile')
      when 'ops.budgets' then (select b.remedy from ops.budgets b where b.remedy is not null limit 1)
      when 'ops.queue_table' then (select q.remedy from ops.queue_table q)
    end as remedy
  ) r on true
  where t.state = 'attention'
$$;
comment on function public.engine_attention() is
  'What wants an operator''s attention, from ops.health: question, answer, the first remedy, and the view with all of them. Empty is good.';
revoke all on function public.engine_attention() from public, anon, authenticated;
grant execute on function public.engine_attention() to service_role;

create or replace function private.schema_version()
returns text
language sql
immutable
set search_path = ''
as $$
  select '20261101001340'
$$;
