Deno.serve(async (request) => {
  const body = request.method === "POST" ? await request.text() : null;
  return Response.json({
    path: new URL(request.url).pathname,
    body,
    url: Deno.env.get("SUPABASE_URL"),
    extra: Deno.env.get("EXTRA_SETTING") ?? null,
  });
});
