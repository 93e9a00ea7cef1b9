/** How the page is built: relative addresses, names without hashes (an ETag tells versions apart), nothing inline. */
import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

// For `npm run dev`: an agent that runs, and a key of it.
const { SKEP_URL: agent = "http://127.0.0.1:7420", SKEP_API_KEY: key, SKEP_PAGE_OUT: out = "dist" } = loadEnv("", ".", "SKEP_");
const proxied = {
  target: agent,
  changeOrigin: true,
  headers: { origin: agent, ...(key ? { authorization: `Bearer ${key}` } : {}) },
};

export default defineConfig({
  base: "./",
  plugins: [react()],
  server: { proxy: { "/api": proxied, "/v1": proxied, "/metrics": proxied } },
  build: {
    target: "es2022",
    outDir: out,
    emptyOutDir: true,
    chunkSizeWarningLimit: 1000,
    // Small files would become `data:` addresses, which the policy forbids for scripts and fonts.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    // It would add an inline helper; every browser that is meant has it.
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
});
