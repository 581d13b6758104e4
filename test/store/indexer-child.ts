/** Builds an index until it is done or killed. Arguments: the log's directory, the index's file. */
import { writeSync } from 'node:fs'
import { Indexer } from '../../src/store/indexer.ts'

const [logDir = '', file = ''] = process.argv.slice(2)
const indexer = new Indexer(logDir, file)
writeSync(1, 'ready\n')
await indexer.catchUp()
indexer.close()
