//go:build tools

// Package policies names the program that enforces the policies of networks.
package policies

import _ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
