-- Demo rows for `supabase start` and `supabase db reset`; never used on a hosted project.
-- The creators are paused and without grants: connect real or simulated ones with `fanvue-sync connect`.
insert into public.agencies (id, name)
values
  ('00000000-0000-4000-8000-00000000000a', 'Demo Agency A'),
  ('00000000-0000-4000-8000-00000000000b', 'Demo Agency B')
on conflict (id) do nothing;

insert into public.models (id, agency_id, handle, display_name, status, status_reason)
values
  ('00000000-0000-4000-8000-0000000000a1', '00000000-0000-4000-8000-00000000000a', 'nova-demo', 'Nova Demo', 'paused', 'demo row without a grant'),
  ('00000000-0000-4000-8000-0000000000b1', '00000000-0000-4000-8000-00000000000b', 'juno-demo', 'Juno Demo', 'paused', 'demo row without a grant')
on conflict (id) do nothing;
