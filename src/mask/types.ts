/**
 * OIDs of the types that have masks of their own; fixed in every PostgreSQL.
 * Source: src/include/catalog/pg_type.dat
 */
export const TypeOid = {
  name: 19,
  int8: 20,
  text: 25,
  json: 114,
  xml: 142,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  uuid: 2950,
  jsonb: 3802,
} as const
