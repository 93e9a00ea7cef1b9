/** Light, dark, or as the system: one button that goes round. */
import { Monitor, Moon, Sun } from "lucide-react";
import { setTheme, type Theme, useTheme } from "../lib/theme";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const ICON = { system: Monitor, light: Sun, dark: Moon };
const WORD = { system: "as the system has it", light: "light", dark: "dark" };

export function ThemeSwitch() {
  const theme = useTheme();
  const Icon = ICON[theme];
  return (
    <button
      type="button"
      className="button quiet small"
      title={`Colours: ${WORD[theme]}`}
      aria-label={`Colours: ${WORD[theme]}. Change`}
      onClick={() => setTheme(NEXT[theme])}
    >
      <Icon aria-hidden="true" />
    </button>
  );
}
