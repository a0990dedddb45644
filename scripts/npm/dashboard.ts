// What a dashboard file may say: the types that Grafana publishes, as JSON has them. Read by scripts/check-dashboards.
import type { AnnotationQuery, Dashboard, DataSourceRef, FieldConfigSource, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as statetimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// A string enum is its text; all else keeps its type. What Grafana knows and does not list (any) stays so.
type Json<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends readonly (infer U)[] ? Json<U>[]
  : T extends object ? { [K in keyof T]: Json<T[K]> }
  : T;

// Prometheus' queries are not among the published types: as the data source's documentation has them.
interface Target {
  refId: string;
  datasource: DataSourceRef;
  expr: string;
  legendFormat?: string;
  interval?: string;
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  range?: boolean;
  editorMode?: 'code' | 'builder';
}

interface Annotation extends Omit<AnnotationQuery, 'target'> {
  target: Target;
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
}

interface Variable extends Omit<VariableModel, 'query'> {
  query: string | { query: string; refId: string };
}

interface Of<Type extends string, Options, Custom> extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  title: string;
  description: string;
  options: Partial<Options>;
  fieldConfig: FieldConfigSource<Partial<Custom>>;
  targets: Target[];
}

type AnyPanel =
  | Of<'stat', stat.Options, Record<string, never>>
  | Of<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Of<'state-timeline', statetimeline.Options, statetimeline.FieldConfig>
  | Of<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Of<'table', table.Options, table.FieldConfig>
  | (RowPanel & { type: 'row' });

export type DashboardFile = Json<
  Omit<Dashboard, 'panels' | 'annotations' | 'templating'> & {
    uid: string;
    panels: AnyPanel[];
    annotations: { list: Annotation[] };
    templating: { list: Variable[] };
  }
>;
