/**
 * The fields of every node that PostgreSQL 18's raw parse tree can hold. Generated: node
 * test/sql/generate/grammar.ts
 *
 * Shape: a line a node, `field:Node` any node in its wrapper, `field:Type` that node without
 * wrapper, `*` a list, a bare word a scalar. What is not in here is not understood, and what is
 * not understood needs 'admin'.
 */
export const GRAMMAR = `
ATAlterConstraint conname alterEnforceability is_enforced alterDeferrability deferrable initdeferred alterInheritability noinherit
A_ArrayExpr elements:Node* list_start list_end location
A_Const
A_Expr kind name:Node* lexpr:Node rexpr:Node rexpr_list_start rexpr_list_end location
A_Indices is_slice lidx:Node uidx:Node
A_Indirection arg:Node indirection:Node*
A_Star
AccessPriv priv_name cols:Node*
Alias aliasname colnames:Node*
AlterCollationStmt collname:Node*
AlterDatabaseRefreshCollStmt dbname
AlterDatabaseSetStmt dbname setstmt:VariableSetStmt
AlterDatabaseStmt dbname options:Node*
AlterDefaultPrivilegesStmt options:Node* action:GrantStmt
AlterDomainStmt subtype typeName:Node* name def:Node behavior missing_ok
AlterEnumStmt typeName:Node* oldVal newVal newValNeighbor newValIsAfter skipIfNewValExists
AlterEventTrigStmt trigname tgenabled
AlterExtensionContentsStmt extname action objtype object:Node
AlterExtensionStmt extname options:Node*
AlterFdwStmt fdwname func_options:Node* options:Node*
AlterForeignServerStmt servername version options:Node* has_version
AlterFunctionStmt objtype func:ObjectWithArgs actions:Node*
AlterObjectDependsStmt objectType relation:RangeVar object:Node extname:String remove
AlterObjectSchemaStmt objectType relation:RangeVar object:Node newschema missing_ok
AlterOpFamilyStmt opfamilyname:Node* amname isDrop items:Node*
AlterOperatorStmt opername:ObjectWithArgs options:Node*
AlterOwnerStmt objectType relation:RangeVar object:Node newowner:RoleSpec
AlterPolicyStmt policy_name table:RangeVar roles:Node* qual:Node with_check:Node
AlterPublicationStmt pubname options:Node* pubobjects:Node* for_all_tables action
AlterRoleSetStmt role:RoleSpec database setstmt:VariableSetStmt
AlterRoleStmt role:RoleSpec options:Node* action
AlterSeqStmt sequence:RangeVar options:Node* for_identity missing_ok
AlterStatsStmt defnames:Node* stxstattarget:Node missing_ok
AlterSubscriptionStmt kind subname conninfo publication:Node* options:Node*
AlterSystemStmt setstmt:VariableSetStmt
AlterTSConfigurationStmt kind cfgname:Node* tokentype:Node* dicts:Node* override replace missing_ok
AlterTSDictionaryStmt dictname:Node* options:Node*
AlterTableCmd subtype name num newowner:RoleSpec def:Node behavior missing_ok recurse
AlterTableMoveAllStmt orig_tablespacename objtype roles:Node* new_tablespacename nowait
AlterTableSpaceOptionsStmt tablespacename options:Node* isReset
AlterTableStmt relation:RangeVar cmds:Node* objtype missing_ok
AlterTypeStmt typeName:Node* options:Node*
AlterUserMappingStmt user:RoleSpec servername options:Node*
BitString
BoolExpr xpr:Node boolop args:Node* location
Boolean
BooleanTest xpr:Node arg:Node booltesttype location
CTECycleClause cycle_col_list:Node* cycle_mark_column cycle_mark_value:Node cycle_mark_default:Node cycle_path_column location cycle_mark_type cycle_mark_typmod cycle_mark_collation cycle_mark_neop
CTESearchClause search_col_list:Node* search_breadth_first search_seq_column location
CallStmt funccall:FuncCall funcexpr:FuncExpr outargs:Node*
CaseExpr xpr:Node casetype casecollid arg:Node args:Node* defresult:Node location
CaseWhen xpr:Node expr:Node result:Node location
CheckPointStmt
ClosePortalStmt portalname
ClusterStmt relation:RangeVar indexname params:Node*
CoalesceExpr xpr:Node coalescetype coalescecollid args:Node* location
CollateClause arg:Node collname:Node* location
ColumnDef colname typeName:TypeName compression inhcount is_local is_not_null is_from_type storage storage_name raw_default:Node cooked_default:Node identity identitySequence:RangeVar generated collClause:CollateClause collOid constraints:Node* fdwoptions:Node* location
ColumnRef fields:Node* location
CommentStmt objtype object:Node comment
CommonTableExpr ctename aliascolnames:Node* ctematerialized ctequery:Node search_clause:CTESearchClause cycle_clause:CTECycleClause location cterecursive cterefcount ctecolnames:Node* ctecoltypes:Node* ctecoltypmods:Node* ctecolcollations:Node*
CompositeTypeStmt typevar:RangeVar coldeflist:Node*
Constraint contype conname deferrable initdeferred is_enforced skip_validation initially_valid is_no_inherit raw_expr:Node cooked_expr generated_when generated_kind nulls_not_distinct keys:Node* without_overlaps including:Node* exclusions:Node* options:Node* indexname indexspace reset_default_tblspc access_method where_clause:Node pktable:RangeVar fk_attrs:Node* pk_attrs:Node* fk_with_period pk_with_period fk_matchtype fk_upd_action fk_del_action fk_del_set_cols:Node* old_conpfeqop:Node* old_pktable_oid location
ConstraintsSetStmt constraints:Node* deferred
CopyStmt relation:RangeVar query:Node attlist:Node* is_from is_program filename options:Node* whereClause:Node
CreateAmStmt amname handler_name:Node* amtype
CreateCastStmt sourcetype:TypeName targettype:TypeName func:ObjectWithArgs context inout
CreateConversionStmt conversion_name:Node* for_encoding_name to_encoding_name func_name:Node* def
CreateDomainStmt domainname:Node* typeName:TypeName collClause:CollateClause constraints:Node*
CreateEnumStmt typeName:Node* vals:Node*
CreateEventTrigStmt trigname eventname whenclause:Node* funcname:Node*
CreateExtensionStmt extname if_not_exists options:Node*
CreateFdwStmt fdwname func_options:Node* options:Node*
CreateForeignServerStmt servername servertype version fdwname if_not_exists options:Node*
CreateForeignTableStmt base:CreateStmt servername options:Node*
CreateFunctionStmt is_procedure replace funcname:Node* parameters:Node* returnType:TypeName options:Node* sql_body:Node
CreateOpClassItem itemtype name:ObjectWithArgs number order_family:Node* class_args:Node* storedtype:TypeName
CreateOpClassStmt opclassname:Node* opfamilyname:Node* amname datatype:TypeName items:Node* isDefault
CreateOpFamilyStmt opfamilyname:Node* amname
CreatePLangStmt replace plname plhandler:Node* plinline:Node* plvalidator:Node* pltrusted
CreatePolicyStmt policy_name table:RangeVar cmd_name permissive roles:Node* qual:Node with_check:Node
CreatePublicationStmt pubname options:Node* pubobjects:Node* for_all_tables
CreateRangeStmt typeName:Node* params:Node*
CreateRoleStmt stmt_type role options:Node*
CreateSchemaStmt schemaname authrole:RoleSpec schemaElts:Node* if_not_exists
CreateSeqStmt sequence:RangeVar options:Node* ownerId for_identity if_not_exists
CreateStatsStmt defnames:Node* stat_types:Node* exprs:Node* relations:Node* stxcomment transformed if_not_exists
CreateStmt relation:RangeVar tableElts:Node* inhRelations:Node* partbound:PartitionBoundSpec partspec:PartitionSpec ofTypename:TypeName constraints:Node* nnconstraints:Node* options:Node* oncommit tablespacename accessMethod if_not_exists
CreateSubscriptionStmt subname conninfo publication:Node* options:Node*
CreateTableAsStmt query:Node into:IntoClause objtype is_select_into if_not_exists
CreateTableSpaceStmt tablespacename owner:RoleSpec location options:Node*
CreateTransformStmt replace type_name:TypeName lang fromsql:ObjectWithArgs tosql:ObjectWithArgs
CreateTrigStmt replace isconstraint trigname relation:RangeVar funcname:Node* args:Node* row timing events columns:Node* whenClause:Node transitionRels:Node* deferrable initdeferred constrrel:RangeVar
CreateUserMappingStmt user:RoleSpec servername if_not_exists options:Node*
CreatedbStmt dbname options:Node*
CurrentOfExpr xpr:Node cvarno cursor_name cursor_param
DeallocateStmt name isall location
DeclareCursorStmt portalname options query:Node
DefElem defnamespace defname arg:Node defaction location
DefineStmt kind oldstyle defnames:Node* args:Node* definition:Node* if_not_exists replace
DeleteStmt relation:RangeVar usingClause:Node* whereClause:Node returningClause:ReturningClause withClause:WithClause
DiscardStmt target
DoStmt args:Node*
DropOwnedStmt roles:Node* behavior
DropRoleStmt roles:Node* missing_ok
DropStmt objects:Node* removeType behavior missing_ok concurrent
DropSubscriptionStmt subname missing_ok behavior
DropTableSpaceStmt tablespacename missing_ok
DropUserMappingStmt user:RoleSpec servername missing_ok
DropdbStmt dbname missing_ok options:Node*
ExecuteStmt name params:Node*
ExplainStmt query:Node options:Node*
FetchStmt direction howMany portalname ismove
Float
FuncCall funcname:Node* args:Node* agg_order:Node* agg_filter:Node over:WindowDef agg_within_group agg_star agg_distinct func_variadic funcformat location
FunctionParameter name argType:TypeName mode defexpr:Node location
GrantRoleStmt granted_roles:Node* grantee_roles:Node* is_grant opt:Node* grantor:RoleSpec behavior
GrantStmt is_grant targtype objtype objects:Node* privileges:Node* grantees:Node* grant_option grantor:RoleSpec behavior
GroupingFunc xpr:Node args:Node* refs:Node* agglevelsup location
GroupingSet kind content:Node* location
ImportForeignSchemaStmt server_name remote_schema local_schema list_type table_list:Node* options:Node*
IndexElem name expr:Node indexcolname collation:Node* opclass:Node* opclassopts:Node* ordering nulls_ordering
IndexStmt idxname relation:RangeVar accessMethod tableSpace indexParams:Node* indexIncludingParams:Node* options:Node* whereClause:Node excludeOpNames:Node* idxcomment indexOid oldNumber oldCreateSubid oldFirstRelfilelocatorSubid unique nulls_not_distinct primary isconstraint iswithoutoverlaps deferrable initdeferred transformed concurrent if_not_exists reset_default_tblspc
InferClause indexElems:Node* whereClause:Node conname location
InlineCodeBlock source_text langOid langIsTrusted atomic
InsertStmt relation:RangeVar cols:Node* selectStmt:Node onConflictClause:OnConflictClause returningClause:ReturningClause withClause:WithClause override
Integer
IntoClause rel:RangeVar colNames:Node* accessMethod options:Node* onCommit tableSpaceName viewQuery:Query skipData
JoinExpr jointype isNatural larg:Node rarg:Node usingClause:Node* join_using_alias:Alias quals:Node alias:Alias rtindex
JsonAggConstructor output:JsonOutput agg_filter:Node agg_order:Node* over:WindowDef location
JsonArgument val:JsonValueExpr name
JsonArrayAgg constructor:JsonAggConstructor arg:JsonValueExpr absent_on_null
JsonArrayConstructor exprs:Node* output:JsonOutput absent_on_null location
JsonArrayQueryConstructor query:Node output:JsonOutput format:JsonFormat absent_on_null location
JsonBehavior btype expr:Node coerce location
JsonFormat format_type encoding location
JsonFuncExpr op column_name context_item:JsonValueExpr pathspec:Node passing:Node* output:JsonOutput on_empty:JsonBehavior on_error:JsonBehavior wrapper quotes location
JsonIsPredicate expr:Node format:JsonFormat item_type unique_keys location
JsonKeyValue key:Node value:JsonValueExpr
JsonObjectAgg constructor:JsonAggConstructor arg:JsonKeyValue absent_on_null unique
JsonObjectConstructor exprs:Node* output:JsonOutput absent_on_null unique location
JsonOutput typeName:TypeName returning:JsonReturning
JsonParseExpr expr:JsonValueExpr output:JsonOutput unique_keys location
JsonReturning format:JsonFormat typid typmod
JsonScalarExpr expr:Node output:JsonOutput location
JsonSerializeExpr expr:JsonValueExpr output:JsonOutput location
JsonTable context_item:JsonValueExpr pathspec:JsonTablePathSpec passing:Node* columns:Node* on_error:JsonBehavior alias:Alias lateral location
JsonTableColumn coltype name typeName:TypeName pathspec:JsonTablePathSpec format:JsonFormat wrapper quotes columns:Node* on_empty:JsonBehavior on_error:JsonBehavior location
JsonTablePathSpec string:Node name name_location location
JsonValueExpr raw_expr:Node formatted_expr:Node format:JsonFormat
List items:Node*
ListenStmt conditionname
LoadStmt filename
LockStmt relations:Node* mode nowait
LockingClause lockedRels:Node* strength waitPolicy
MergeStmt relation:RangeVar sourceRelation:Node joinCondition:Node mergeWhenClauses:Node* returningClause:ReturningClause withClause:WithClause
MergeSupportFunc xpr:Node msftype msfcollid location
MergeWhenClause matchKind commandType override condition:Node targetList:Node* values:Node*
MinMaxExpr xpr:Node minmaxtype minmaxcollid inputcollid op args:Node* location
MultiAssignRef source:Node colno ncolumns
NamedArgExpr xpr:Node arg:Node name argnumber location
NotifyStmt conditionname payload
NullTest xpr:Node arg:Node nulltesttype argisrow location
ObjectWithArgs objname:Node* objargs:Node* objfuncargs:Node* args_unspecified
OnConflictClause action infer:InferClause targetList:Node* whereClause:Node location
ParamRef number location
PartitionBoundSpec strategy is_default modulus remainder listdatums:Node* lowerdatums:Node* upperdatums:Node* location
PartitionCmd name:RangeVar bound:PartitionBoundSpec concurrent
PartitionElem name expr:Node collation:Node* opclass:Node* location
PartitionRangeDatum kind value:Node location
PartitionSpec strategy partParams:Node* location
PrepareStmt name argtypes:Node* query:Node
PublicationObjSpec pubobjtype name pubtable:PublicationTable location
PublicationTable relation:RangeVar whereClause:Node columns:Node*
RangeFunction lateral ordinality is_rowsfrom functions:Node* alias:Alias coldeflist:Node*
RangeSubselect lateral subquery:Node alias:Alias
RangeTableFunc lateral docexpr:Node rowexpr:Node namespaces:Node* columns:Node* alias:Alias location
RangeTableFuncCol colname typeName:TypeName for_ordinality is_not_null colexpr:Node coldefexpr:Node location
RangeTableSample relation:Node method:Node* args:Node* repeatable:Node location
RangeVar catalogname schemaname relname inh relpersistence alias:Alias location
RawStmt stmt:Node stmt_location stmt_len
ReassignOwnedStmt roles:Node* newrole:RoleSpec
RefreshMatViewStmt concurrent skipData relation:RangeVar
ReindexStmt kind relation:RangeVar name params:Node*
RenameStmt renameType relationType relation:RangeVar object:Node subname newname behavior missing_ok
ReplicaIdentityStmt identity_type name
ResTarget name indirection:Node* val:Node location
ReturnStmt returnval:Node
ReturningClause options:Node* exprs:Node*
ReturningOption option value location
RoleSpec roletype rolename location
RowExpr xpr:Node args:Node* row_typeid row_format colnames:Node* location
RuleStmt relation:RangeVar rulename whereClause:Node event instead actions:Node* replace
SQLValueFunction xpr:Node op type typmod location
SecLabelStmt objtype object:Node provider label
SelectStmt distinctClause:Node* intoClause:IntoClause targetList:Node* fromClause:Node* whereClause:Node groupClause:Node* groupDistinct havingClause:Node windowClause:Node* valuesLists:Node* sortClause:Node* limitOffset:Node limitCount:Node limitOption lockingClause:Node* withClause:WithClause op all larg:SelectStmt rarg:SelectStmt
SetToDefault xpr:Node typeId typeMod collation location
SortBy node:Node sortby_dir sortby_nulls useOp:Node* location
StatsElem name expr:Node
String
SubLink xpr:Node subLinkType subLinkId testexpr:Node operName:Node* subselect:Node location
TableLikeClause relation:RangeVar options relationOid
TransactionStmt kind options:Node* savepoint_name gid chain location
TriggerTransition name isNew isTable
TruncateStmt relations:Node* restart_seqs behavior
TypeCast arg:Node typeName:TypeName location
TypeName names:Node* typeOid setof pct_type typmods:Node* typemod arrayBounds:Node* location
UnlistenStmt conditionname
UpdateStmt relation:RangeVar targetList:Node* whereClause:Node fromClause:Node* returningClause:ReturningClause withClause:WithClause
VacuumRelation relation:RangeVar oid va_cols:Node*
VacuumStmt options:Node* rels:Node* is_vacuumcmd
VariableSetStmt kind name args:Node* jumble_args is_local location
VariableShowStmt name
ViewStmt view:RangeVar aliases:Node* query:Node replace options:Node* withCheckOption
WindowDef name refname partitionClause:Node* orderClause:Node* frameOptions startOffset:Node endOffset:Node location
WithClause ctes:Node* recursive location
XmlExpr xpr:Node op name named_args:Node* arg_names:Node* args:Node* xmloption indent type typmod location
XmlSerialize xmloption expr:Node typeName:TypeName indent location
`
