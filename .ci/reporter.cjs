// What mocha's spec reporter prints, plus the two numbers in the file named by DBGATE_TEST_REPORT.
const { writeFileSync } = require('node:fs')
const { reporters } = require('mocha')

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    runner.once('end', () => {
      const { passes, failures } = this.stats
      writeFileSync(process.env.DBGATE_TEST_REPORT, `${passes} ${failures}\n`)
    })
  }
}
