# Releases and deployments. What a workflow of .github/workflows does is a target here, so it runs anywhere.

DIST ?= dist
# Where the source is to be had; images, chart and packages name it.
SOURCE ?= https://linear-regressor.example.com/source
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
CREATED ?= $(shell git show --no-patch --format=%cI 2>/dev/null)
# predictor-signing builds a predictor that can verify the signatures of models, predictor-tracing one that sends spans,
# and predictor-all one that does both.
PREDICTOR_LOCK ?= predictor
BUILD_ARGS = --build-arg PREDICTOR_LOCK=$(PREDICTOR_LOCK) --build-arg VERSION=$(TAG) --build-arg REVISION=$(REVISION) --build-arg CREATED=$(CREATED) \
	--build-arg SOURCE=$(SOURCE)
COMMA := ,
PLATFORMS ?= linux/amd64,linux/arm64
# The images' digests by name, as `make release-images` writes them.
IMAGES_FILE ?= $(DIST)/images.json
CHARTS = $(REGISTRY)/linear-regressor/charts
DELIVERY = $(VENV)/bin/python -m delivery
RELEASED := predictor pipeline registry
LOCKS := predictor predictor-signing predictor-tracing predictor-all pipeline registry build dev
SCANNED ?= $(PREDICTOR_IMAGE) $(PIPELINE_IMAGE) $(REGISTRY_IMAGE)

# Go programs at one version; one that is not on the PATH is built into the environment.
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GRYPE := github.com/anchore/grype/cmd/grype@v0.121.3
HELM := helm.sh/helm/v3/cmd/helm@v3.22.0
WITH_TOOLS = export PATH="$(abspath $(VENV))/bin:$$PATH"
# $(call program,NAME,MODULE)
program = { command -v $(1) >/dev/null || GOBIN=$(abspath $(VENV))/bin CGO_ENABLED=0 go install $(2); }

.PHONY: version release dist sbom notes chart release-dry-run release-images promote push-chart \
	sign publish save-images load-images pull-images scan audit cluster-logs train smoke deploy \
	gitops scan-candidates fetch-packages upload start-deployment

version: $(READY) ## Check that the version is the same in every place (RELEASE_TAG: that of a tag, such as v1.2.3)
	@$(DELIVERY) version $(RELEASE_TAG:%=--tag %)

release: $(READY) ## Write a new version in every place, and its heading in CHANGELOG.md (VERSION)
	@[ -n "$(VERSION)" ] || { echo "VERSION is not set: make release VERSION=1.2.3" >&2; exit 1; }
	@$(DELIVERY) set-version $(VERSION)
	@echo "Now: git commit --all --message 'Release $(VERSION)', then git tag --sign v$(VERSION)"

dist: $(READY) ## Build wheel and sdist, and check what they hold (DIST)
	rm -rf $(DIST)/*.whl $(DIST)/linear_regressor-*.tar.gz
	$(VENV)/bin/hatchling build --directory $(DIST)
	$(DELIVERY) check-packages $(DIST)

sbom: $(READY) ## Write a bill of materials (CycloneDX) of the packages in each image (DIST)
	mkdir -p $(DIST)
	for image in $(RELEASED); do \
		$(VENV)/bin/cyclonedx-py requirements requirements/$$image.txt --pyproject pyproject.toml \
			--output-reproducible --output-format JSON --output-file $(DIST)/$$image.cdx.json; done

notes: $(READY) ## Write the release's notes from CHANGELOG.md (DIST)
	mkdir -p $(DIST)
	$(DELIVERY) notes $(TAG) > $(DIST)/notes.md

chart: $(READY) ## Package the chart with the images of IMAGES_FILE as its defaults (REGISTRY, SOURCE, DIST)
	@$(WITH_TOOLS); $(call program,helm,$(HELM)); \
	$(DELIVERY) package-chart $(DIST) --registry "$(REGISTRY)" --images $(IMAGES_FILE) --source $(SOURCE)

# Zeros where digests will be: no image is built, and nothing is published.
release-dry-run: ## All of a release but images, signatures and publishing, in dist/dry-run
	mkdir -p dist/dry-run
	printf '{%s}\n' "$$(for image in $(RELEASED); do printf '"%s": "sha256:%064d"\n' $$image 0; done | paste -sd,)" \
		> dist/dry-run/images.json
	@$(MAKE) version
	@$(MAKE) dist sbom notes chart DIST=dist/dry-run REGISTRY=$(or $(REGISTRY),registry.example.com/team)
	@cd dist/dry-run && sha256sum *.whl *.tar.gz *.tgz *.json > checksums.txt && cat checksums.txt

release-images: ## Build the images for PLATFORMS with SBOM and provenance, push them, write IMAGES_FILE (REGISTRY, CANDIDATE)
	@[ -n "$(REGISTRY)" ] || { echo "REGISTRY is not set: make $@ REGISTRY=registry.example.com/team" >&2; exit 1; }
	mkdir -p $(DIST)
	base=$$(docker buildx imagetools inspect python:3.12-slim-bookworm --format '{{.Manifest.Digest}}'); \
	for image in $(RELEASED); do \
		docker buildx build --push --platform $(PLATFORMS) --sbom=true --provenance=mode=max $(BUILD_ARGS) \
			--build-arg PYTHON_IMAGE=python@$$base --metadata-file $(DIST)/$$image.build.json \
			--tag $(IMAGES)/$$image:$(or $(CANDIDATE),$(TAG)) --target $$image .; \
	done
	for image in $(RELEASED); do jq --arg image $$image '{($$image): .["containerimage.digest"]}' \
		$(DIST)/$$image.build.json; done | jq --slurp add > $(IMAGES_FILE)

fetch-packages: ## Download wheel and sdist of the release from GitHub (gh, DIST)
	gh release download v$(TAG) --pattern '*.whl' --pattern 'linear_regressor-*.tar.gz' --dir $(DIST) --clobber

upload: $(READY) ## Upload wheel and sdist to UV_PUBLISH_URL, as a trusted publisher (DIST)
	$(VENV)/bin/uv publish --trusted-publishing always $(DIST)/*.whl $(DIST)/linear_regressor-*.tar.gz

start-deployment: ## Start the workflow that deploys the release (gh)
	gh workflow run deploy.yml --ref v$(TAG) --field release=$(TAG)

save-images: ## Write the images into an archive, for another machine (DIST)
	mkdir -p $(DIST)
	docker save $(PREDICTOR_IMAGE) $(PIPELINE_IMAGE) $(REGISTRY_IMAGE) | zstd --threads=0 > $(DIST)/images.tar.zst

load-images: ## Load the archive of make save-images (DIST)
	zstd --decompress --stdout $(DIST)/images.tar.zst | docker load

pull-images: ## Pull the images of IMAGES_FILE, and name them as make image does (REGISTRY, IMAGES_FILE)
	for image in $(RELEASED); do \
		docker pull $(IMAGES)/$$image@$(DIGEST) && \
		docker tag $(IMAGES)/$$image@$(DIGEST) linear-regressor/$$image:$(TAG); done

SCAN = grype --fail-on high --only-fixed --quiet
scan: ## Look for known vulnerabilities that have a fix in the images (SCANNED: their names)
	@$(WITH_TOOLS); $(call program,grype,$(GRYPE)); \
	for image in $(SCANNED); do echo "$$image"; $(SCAN) "$$image"; done

scan-candidates: ## The same in the images of IMAGES_FILE, for PLATFORMS (REGISTRY)
	@$(WITH_TOOLS); $(call program,grype,$(GRYPE)); \
	for image in $(RELEASED); do for platform in $(subst $(COMMA), ,$(PLATFORMS)); do \
		echo "$$image for $$platform"; $(SCAN) --platform $$platform registry:$(IMAGES)/$$image@$(DIGEST); done; done

audit: $(READY) ## Look for known vulnerabilities in the locked packages
	for lock in $(LOCKS); do $(VENV)/bin/pip-audit --requirement requirements/$$lock.txt --require-hashes --disable-pip; done

cluster-logs: ## Keep the logs of the cluster in Docker (DIST)
	kind export logs $(DIST)/logs --name linear-regressor
	kubectl get events --all-namespaces --sort-by=.lastTimestamp > $(DIST)/logs/events.txt

DIGEST = $$(jq --exit-status --raw-output .$$image $(IMAGES_FILE))

promote: ## Give the images of IMAGES_FILE, which passed, the tag of the release (REGISTRY, TAG)
	for image in $(RELEASED); do \
		docker buildx imagetools create --tag $(IMAGES)/$$image:$(TAG) $(IMAGES)/$$image@$(DIGEST); done

push-chart: ## Push the packaged chart as an OCI artifact, and write its digest (REGISTRY, DIST)
	helm push $(DIST)/linear-regressor-$(TAG).tgz oci://$(CHARTS) 2>&1 | tee $(DIST)/chart.txt
	sed -n 's/^Digest: //p' $(DIST)/chart.txt | grep -x 'sha256:[0-9a-f]*' > $(DIST)/chart.digest

sign: ## Sign images, chart and files without a key, by the workflow's identity (cosign, REGISTRY, DIST)
	for image in $(RELEASED); do \
		cosign sign --yes --recursive $(IMAGES)/$$image@$(DIGEST); \
		cosign attest --yes --type cyclonedx --predicate $(DIST)/$$image.cdx.json $(IMAGES)/$$image@$(DIGEST); \
	done
	cosign sign --yes $(CHARTS)/linear-regressor@$$(cat $(DIST)/chart.digest)
	cd $(DIST) && sha256sum *.whl *.tar.gz *.tgz *.cdx.json > checksums.txt \
		&& cosign sign-blob --yes --bundle checksums.txt.sigstore.json checksums.txt

publish: ## Make the release on GitHub, with its files and notes (gh, DIST)
	gh release create v$(TAG) --verify-tag --title "$(TAG)" --notes-file $(DIST)/notes.md \
		$(if $(findstring -,$(TAG)),--prerelease) $(DIST)/*.whl $(DIST)/*.tar.gz $(DIST)/*.tgz $(DIST)/*.cdx.json \
		$(DIST)/checksums.txt $(DIST)/checksums.txt.sigstore.json

PARAMETERS ?=
train: $(READY) ## Start a run of the pipeline on a cluster, and follow it to its end (HOST, PARAMETERS: a YAML file)
	@[ -n "$$HOST" ] || { echo "HOST is not set: make train HOST=https://pipelines.example.com" >&2; exit 1; }
	$(VENV)/bin/python pipeline.py submit --host "$$HOST" --image "$(PIPELINE_IMAGE)" \
		$(PARAMETERS:%=--params %) --param git_commit=$(REVISION) --reason "$${REASON:-by hand}"

URL ?=
# Of the model; SOFTWARE is that of the software.
VERSION ?=
TARGET = --url "$(URL)" $(GRPC:%=--grpc "%") $(HOST:%=--host "%") $(GRPC_HOST:%=--grpc-host "%") \
	$(MODEL:%=--model "%") $(VERSION:%=--version "%") $(ANSWERS:%=--answers "%") $(LATENCY:%=--latency %) \
	$(WAIT:%=--wait %)

smoke: $(READY) ## Ask every endpoint at URL, and which version answers (VERSION, SOFTWARE, GRPC, ANSWERS, WAIT, DIRECT=1)
	@$(DELIVERY) smoke $(TARGET) $(SOFTWARE:%=--release %) $(if $(DIRECT),--direct)

gitops: $(READY) ## Write the release SOFTWARE into the FILES that Argo CD or Flux follows, to be committed
	$(DELIVERY) gitops $(SOFTWARE) $(FILES)

CHART ?= helm/linear-regressor
deploy: $(READY) ## Upgrade to CHART, smoke-test URL, roll back what fails (RELEASE, NAMESPACE, CHART_VERSION, VALUES)
	@$(WITH_TOOLS); $(call program,helm,$(HELM)); \
	$(DELIVERY) deploy $(TARGET) --release-name $(or $(RELEASE),linear-regressor) --namespace $(NAMESPACE) \
		--chart $(CHART) $(CHART_VERSION:%=--chart-version %) $(VALUES:%=--values %)
