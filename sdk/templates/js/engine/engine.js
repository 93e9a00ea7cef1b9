// The component's face, which the host calls: one open model. An error is thrown.

import { Echo } from "./echo.js";

class Instance extends Echo {
  // The files are there to be read; an echo needs nothing of them.
  static open(_files, _draft, _settings) {
    return new Instance();
  }
}

export const model = { Instance };
