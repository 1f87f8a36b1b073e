import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const service = process.env.PENSTOCK_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  // Relative, so that the console works at whatever path a proxy puts it.
  base: "./",
  plugins: [react(), tailwindcss()],
  resolve: { alias: { "~": new URL("./src", import.meta.url).pathname } },
  build: {
    outDir: "../src/penstock/service/static/console",
    emptyOutDir: true,
    cssCodeSplit: false, // one stylesheet, which the page links: a chunk would link it again where the address has changed
    target: "es2022",
    chunkSizeWarningLimit: 400,
  },
  server: {
    port: Number(process.env.PENSTOCK_CONSOLE_PORT ?? 3000),
    strictPort: true,
    // Everything that is not the console itself belongs to the service, its WebSocket too.
    proxy: {
      "^/(?!$|\\?|console(?:$|[/?])|index\\.html|icon\\.svg|src/|node_modules/|@)": { target: service, ws: true },
    },
  },
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"], testTimeout: 60_000, hookTimeout: 60_000 },
});
