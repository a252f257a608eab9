// The script of the report: each part finds its own element and does nothing where there is none.
import { startModel } from "./model.js";
import { startTables } from "./tables.js";
import { startTheme } from "./theme.js";
import { startTurntable } from "./turntable.js";

startTheme();
startTurntable();
startTables();
startModel();
