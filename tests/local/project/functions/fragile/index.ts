const born = crypto.randomUUID();

Deno.serve({ port: 1 }, (request) => {
  if (new URL(request.url).pathname.endsWith("/crash")) Deno.exit(3);
  return Response.json({ born });
});
