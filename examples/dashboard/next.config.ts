import type { NextConfig } from "next";

const config: NextConfig = {
  // This directory is a project of its own, wherever it stands.
  turbopack: { root: import.meta.dirname },
  outputFileTracingRoot: import.meta.dirname,
  poweredByHeader: false,
  reactStrictMode: true,
  images: { unoptimized: true },
};

export default config;
